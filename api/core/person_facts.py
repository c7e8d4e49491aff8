"""Facts about a person: their address stands in them sealed under their own key."""

from api.core.facts import tell
from api.core.persons import person_sealers
from api.core.visits import Visit
from contracts.events.auth import AuthFact
from infra.postgres.database import Tx


async def say(tx: Tx, visit: Visit, organization_id: str, user_id: str, fact: AuthFact) -> None:
    """States the fact about the person beside the caller's rows."""
    sealers = await person_sealers(tx, visit.deps.sealer, (user_id,))
    await tell(tx, visit.context, organization_id, fact, now=visit.now, sealer=sealers.get(user_id), subject=user_id)
