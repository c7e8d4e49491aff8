"""OpenTelemetry traces: through HTTP, Kafka headers, consumers, stores and webhooks; off unless asked for."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import propagate, trace
from opentelemetry.trace import Link, SpanContext

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def configure_tracing(service: str) -> bool:
    """Starts exporting by OTLP over HTTP when the standard environment variable names a collector.

    Returns whether tracing is on; when off, nothing of the SDK is even imported.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": f"aihub-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    instrument()
    return True


def instrument() -> None:
    """Spans for every PostgreSQL statement (asyncpg's instrumentor; SQLAlchemy's would be a silent no-op)."""
    from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor

    instrumentor: Any = AsyncPGInstrumentor  # the package ships no types
    if not instrumentor().is_instrumented_by_opentelemetry:
        instrumentor().instrument()


def is_configured() -> bool:
    """Whether somebody has said where spans go."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def is_on() -> bool:
    """Whether the current span is recorded: ask before doing any work for a trace."""
    return trace.get_current_span().is_recording()


def note(name: str, value: str) -> None:
    """Sets an attribute of the current span, if it is recorded."""
    if is_on():
        trace.get_current_span().set_attribute(name, value)


def current_headers() -> list[tuple[str, bytes]]:
    """The current trace context as Kafka headers (W3C trace context); empty when tracing is off."""
    if not is_on():
        return []
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return [(key, value.encode()) for key, value in carrier.items()]


def current_traceparent() -> str | None:
    """The current `traceparent`, to be kept beside a row; None when tracing is off."""
    return next((value.decode() for key, value in current_headers() if key == "traceparent"), None)


def context_of(traceparent: str | None) -> SpanContext | None:
    """The span context that a `traceparent` names, if it is a valid one."""
    if not traceparent:
        return None
    context = propagate.extract({"traceparent": traceparent})
    found = trace.get_current_span(context).get_span_context()
    return found if found.is_valid else None


def links(headers: Sequence[Mapping[str, str]]) -> list[Link]:
    """One link per different trace among the records' headers, at most 128 (the SDK's default limit)."""
    contexts = {
        header["traceparent"]: context_of(header["traceparent"]) for header in headers if "traceparent" in header
    }
    return [Link(context) for context in contexts.values() if context is not None][:128]
