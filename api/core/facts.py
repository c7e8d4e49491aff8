"""How a resource states what happened to people, keys and roles: in its own transaction, through the outbox."""

from datetime import datetime
from typing import Final

from api.core.persons import PersonSealer
from api.core.request_ids import Context
from contracts import catalog
from contracts.events.auth import AuthFact
from contracts.events.base import SYSTEM_SOURCE
from infra.ids import new_id
from infra.postgres.database import Tx
from producers import outbox

HUB: Final = "org_hub"
"""The organization of what happens to nobody's account: a log-in with an unknown name, say."""


async def tell(
    tx: Tx,
    context: Context,
    organization_id: str,
    fact: AuthFact,
    *,
    now: datetime,
    sealer: PersonSealer | None = None,
    subject: str | None = None,
) -> None:
    """Saves the fact beside the caller's rows, with the request's address and id.

    `sealer` is the person's whose address it is: it stands in the event sealed. A key's address is nobody's.
    """
    if fact.address is None and context.address:
        address = context.address if sealer is None else sealer.seal(context.address)
        fact = fact.model_copy(update={"address": address})
    envelope = catalog.state(
        fact,
        event_id=new_id("evt"),
        source=f"{SYSTEM_SOURCE}/auth",
        organization=organization_id,
        now=now,
        subject=subject,
    ).model_copy(update={"requestid": context.request_id})
    await outbox.save(tx, fact.TOPIC, organization_id, [catalog.encode(envelope)])
