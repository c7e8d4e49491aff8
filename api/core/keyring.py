"""API keys and service credentials: looked up in PostgreSQL by their hash, and remembered for a moment."""

from api.core.deadlines import brief_transaction
from api.core.principal import Kind, Principal
from api.core.remembered import Remembered
from contracts.errors import Unauthenticated
from contracts.rules.access import rate_class
from infra.clock import Clock
from infra.crypto import hash_api_key, looks_like_api_key
from infra.postgres.database import Database
from infra.postgres.keys import find_key, organization_exists


class Keyring:
    """Knows keys and organizations; asks PostgreSQL at most once a second per key."""

    def __init__(self, database: Database, clock: Clock, pepper: bytes, deadline_s: float) -> None:
        self._database = database
        self._clock = clock
        self._pepper = pepper
        self._deadline_s = deadline_s
        self._keys = Remembered(self._look_up, clock)
        self._organizations: set[str] = set()

    async def principal(self, key: str) -> Principal:
        """The principal of the key.

        Raises: Unauthenticated (mistyped, unknown, revoked, expired), DatabaseUnavailable (unknown while the database
        is away).
        """
        digest, now = hash_api_key(key, self._pepper), self._clock.now()
        if not self._keys.knows(digest) and not looks_like_api_key(key):
            raise Unauthenticated("This is not an API key, or it was cut or mistyped: its checksum does not fit.")
        found = await self._keys.get(digest, now)
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            raise Unauthenticated("The API key is unknown, revoked or expired; create a new one.")
        return found

    async def organization_exists(self, organization_id: str) -> bool:
        """Whether there is such an organization; one that was seen is not asked for again."""
        if organization_id not in self._organizations:
            async with brief_transaction(self._database, self._deadline_s) as tx:
                if not await organization_exists(tx, organization_id):
                    return False
            self._organizations.add(organization_id)
        return True

    async def _look_up(self, digest: bytes) -> Principal | None:
        async with brief_transaction(self._database, self._deadline_s) as tx:
            row = await find_key(tx, digest, self._clock.now())
        if row is None or row.revoked_at is not None:
            return None
        scopes = frozenset(row.scopes)
        return Principal(
            row.id,
            row.organization_id,
            scopes,
            row.expires_at,
            kind=Kind(row.kind),
            rate_class=rate_class(scopes),
            networks=tuple(row.allowed_networks),
            made_by=row.created_by,
        )
