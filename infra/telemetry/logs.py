"""JSON logs: timestamp, level, service, message, request and trace ids; no secrets."""

import logging
import sys
from typing import Any, Final, TextIO

import orjson
import structlog
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger

_SECRET_WORDS: Final = ("secret", "password", "authorization", "api_key_value", "token_value", "whsec_", "aihub_live_")
_NOISY: Final = ("aiokafka", "faststream", "uvicorn.access", "httpx", "alembic", "asyncio")


def configure_logs(service: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends structlog and the standard library's loggers to one stream as JSON lines."""
    out = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.processors.format_exc_info,
        _service(service),
        _trace_ids,
        _redact,
        structlog.processors.EventRenamer("message"),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_json)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_json),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.getLevelName(level), logging.WARNING))


def _json(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _service(service: str) -> Any:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add


def _trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
    return event


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        text = value.lower() if isinstance(value, str) else ""
        if any(word in key.lower() for word in _SECRET_WORDS) or "whsec_" in text or "aihub_live_" in text:
            event[key] = "[redacted]"
    return event
