"""`/v1/admin/reconcile`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.envelope import Answer, reply
from api.core.resource import DepsIn, Resource
from api.reconcile.schemas import ReconcileIn, ReconcileOut
from infra.ops.reconcile import ReconcileDeps, reconcile

routes: Final = Resource("/v1/admin", "reconcile")


@routes.post("/reconcile", needs="system:reconcile", answers=Answer[ReconcileOut])
async def compare(request: Request, deps: DepsIn, wanted: ReconcileIn) -> Response:
    """Compare Kafka, ledger and analytics, id by id and by hour, and check the ledger's laws."""
    books = ReconcileDeps(deps.database, deps.clickhouse, deps.log_reader, deps.producer, deps.clock)
    return reply(request, (await reconcile(books, repair=wanted.repair)).report())
