"""Logs are JSON without secrets; health follows progress; traces cost nothing when off."""

import io
import logging
import time

import orjson
import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from infra.telemetry import metrics, tracing
from infra.telemetry.logs import configure_logs
from infra.telemetry.progress import PROGRESS, STALLED_AFTER_S, Progress, progress_of


@pytest.fixture
def logs() -> io.StringIO:
    stream = io.StringIO()
    configure_logs("testing", stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_log_line_is_json_with_time_level_service_and_message(logs: io.StringIO) -> None:
    structlog.get_logger().info("batch booked", records=5)
    (line,) = lines(logs)
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["service"], line["message"], line["records"]) == (
        "info",
        "testing",
        "batch booked",
        5,
    )


def test_the_standard_librarys_loggers_go_the_same_way(logs: io.StringIO) -> None:
    logging.getLogger("some.library").warning("careful %s", "now")
    (line,) = lines(logs)
    assert (line["message"], line["logger"], line["service"]) == ("careful now", "some.library", "testing")


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"},
        {"Authorization": "Bearer x"},
        {"note": "key aihub_live_abc"},
        {"body": "whsec_abc"},
        {"client_secret": "x"},
    ],
)
def test_secrets_are_redacted(logs: io.StringIO, fields: dict[str, str]) -> None:
    structlog.get_logger().info("said", **fields)
    (value,) = (lines(logs)[0][key] for key in fields)
    assert value == "[redacted]"


def test_a_log_line_inside_a_trace_names_it(logs: io.StringIO) -> None:
    with TracerProvider().get_tracer("t").start_as_current_span("work") as span:
        structlog.get_logger().info("inside")
    assert lines(logs)[0]["trace_id"] == f"{span.get_span_context().trace_id:032x}"


def test_a_fresh_consumer_is_healthy_and_one_that_stalls_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = progress_of("test.stalls")
    assert progress.healthy
    progress.lag({("t", 0): 5}, 3.0)
    monkeypatch.setattr(progress._shares[0], "moved_s", time.monotonic() - STALLED_AFTER_S - 1)
    assert not progress.healthy
    progress.lag({("t", 0): 0}, 0.0)
    assert progress.healthy
    del PROGRESS["test.stalls"]


def test_a_member_that_stalls_is_not_hidden_by_one_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress("test.members")
    other = progress.enlist()
    progress.lag({("t", 0): 5}, 3.0)
    progress.lag({("t", 1): 7}, 2.0, other)
    assert progress.total_lag == 12
    monkeypatch.setattr(progress._shares[other], "moved_s", time.monotonic() - STALLED_AFTER_S - 1)
    progress.records(5, None)
    progress.lag({("t", 0): 0}, 0.0)
    assert not progress.healthy
    progress.records(7, None, other)
    assert progress.healthy
    assert progress.processed == 12


def test_the_first_reason_for_a_stop_is_the_one_that_is_told() -> None:
    progress = Progress("test.first")
    progress.stopped("a bug")
    progress.stopped("CancelledError()")
    assert progress.failed == "a bug"


def test_a_consumer_that_stopped_for_good_is_unhealthy_and_says_why() -> None:
    progress = Progress("test.stopped")
    progress.stopped("TooManyDeadLetters")
    assert progress.report() | {"idle_s": 0} == {
        "healthy": False,
        "lag": 0,
        "processed": 0,
        "idle_s": 0,
        "waiting_for": None,
        "failed": "TooManyDeadLetters",
    }


def test_partitions_that_moved_away_leave_the_metrics() -> None:
    progress = Progress("test.moved")
    progress.lag({("t", 0): 5, ("t", 1): 7}, 1.0)
    progress.lag({("t", 1): 6}, 1.0)
    text = metrics.exposition().decode()
    assert 'aihub_consumer_lag_records{consumer="test.moved",partition="1",topic="t"} 6.0' in text
    assert 'consumer="test.moved",partition="0"' not in text
    assert progress.total_lag == 6


def test_without_a_collector_there_is_no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert not tracing.configure_tracing("t")
    assert tracing.current_headers() == []
    assert tracing.current_traceparent() is None


def test_the_trace_context_goes_into_headers_and_comes_back_as_links() -> None:
    with TracerProvider().get_tracer("t").start_as_current_span("work") as span:
        headers = dict(tracing.current_headers())
        assert tracing.current_traceparent() == headers["traceparent"].decode()
    context = span.get_span_context()
    texts = [{"traceparent": headers["traceparent"].decode()}] * 3 + [{}, {"traceparent": "nonsense"}]
    (link,) = tracing.links(texts)
    assert (link.context.trace_id, link.context.span_id) == (context.trace_id, context.span_id)
    assert not trace.get_current_span().is_recording()
