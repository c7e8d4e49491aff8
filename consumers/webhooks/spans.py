"""The trace of a delivery: it goes on from the request that caused the event, and reaches the receiver."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind

from infra.postgres.webhooks_queue import Leased, Target
from infra.telemetry.tracing import context_of

_TRACER: Final = trace.get_tracer("aihub.webhooks")


_NOTHING: Final = nullcontext[dict[str, str]]({})


def delivery_span(leased: Leased, target: Target) -> AbstractContextManager[dict[str, str]]:
    """A span around one attempt, and the headers that carry it on; nothing at all when the event has no trace."""
    parent = context_of(leased.traceparent)
    return _NOTHING if parent is None else _span(parent, leased, target)


@contextmanager
def _span(parent: SpanContext, leased: Leased, target: Target) -> Iterator[dict[str, str]]:
    context = trace.set_span_in_context(NonRecordingSpan(parent))
    with _TRACER.start_as_current_span("webhooks.deliver", context=context, kind=SpanKind.CLIENT) as span:
        span.set_attribute("aihub.endpoint", target.id)
        span.set_attribute("aihub.attempt", leased.attempts + 1)
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        yield carrier
