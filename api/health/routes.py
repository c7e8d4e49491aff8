"""`/health/live`, `/health/ready`, `/metrics`: shapes of their own, no key."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from api.core.envelope import JsonBytes
from api.core.resource import DepsIn, Resource
from contracts.errors import Unavailable
from contracts.rules.access import PUBLIC
from contracts.rules.limits import EXEMPT
from infra.telemetry import metrics
from infra.telemetry.progress import PROGRESS

routes: Final = Resource("", "health")

CHECK_DEADLINE_S: Final = 2.0


class Live(BaseModel):
    """The process answers."""

    status: str = Field(examples=["live"])


class Ready(BaseModel):
    """What the process stands on, and the consumers that run inside it."""

    status: str = Field(examples=["ready"], description="ready or degraded")
    dependencies: dict[str, str] = Field(examples=[{"kafka": "up", "postgres": "up", "clickhouse": "up"}])
    consumers: dict[str, dict[str, Any]]


@routes.get("/health/live", needs=PUBLIC, limit=EXEMPT, answers=Live)
async def live(request: Request) -> Response:
    """Whether the process answers at all; asks nothing else."""
    return JsonBytes(b'{"status":"live"}')


@routes.get("/health/ready", needs=PUBLIC, limit=EXEMPT, answers=Ready, errors=(503,))
async def ready(request: Request, deps: DepsIn) -> Response:
    """Whether it can take events: 503 while Kafka is away or a consumer in this process stands still."""
    postgres, clickhouse = await asyncio.gather(_up(deps.database.ping), _up(deps.clickhouse.ping))
    dependencies = {"kafka": _word(deps.producer.healthy), "postgres": _word(postgres), "clickhouse": _word(clickhouse)}
    consumers = {name: progress.report() for name, progress in PROGRESS.items()}
    takes = deps.producer.healthy and all(report["healthy"] for report in consumers.values())
    whole = takes and postgres and clickhouse
    body = {"status": "ready" if whole else "degraded", "dependencies": dependencies, "consumers": consumers}
    return JsonBytes(to_json(body), 200 if takes else 503, None if takes else {"Retry-After": "2"})


@routes.get("/metrics", needs=PUBLIC, limit=EXEMPT, answers=None, media="text/plain")
async def figures(request: Request) -> Response:
    """All metrics in Prometheus' text format."""
    return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)


async def _up(ping: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(CHECK_DEADLINE_S):
            await ping()
    except (Unavailable, TimeoutError):
        return False
    return True


def _word(up: bool) -> str:
    return "up" if up else "down"
