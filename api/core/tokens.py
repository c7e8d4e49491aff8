"""Access tokens: signed with a key of ours that changes every month, verified by any process, published as JWKS."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc.jwk import OKPKey

from contracts.errors import Unauthenticated
from infra import tokens
from infra.clock import Clock
from infra.crypto import Sealer
from infra.ids import new_id
from infra.postgres import signing_keys as store
from infra.postgres.database import Database
from infra.postgres.signing_keys import SigningKeyRow
from infra.tokens import AccessClaims

SIGNS_FOR: Final = timedelta(days=30)
PUBLISHED_AFTER: Final = timedelta(days=1)
"""How long a key still verifies after it stopped signing: longer than any token lives and any cache of the JWKS."""
LOOK_AGAIN: Final = timedelta(seconds=1)
REFRESH: Final = timedelta(minutes=5)
AUDIENCE: Final = "aihub:api"


class Tokens:
    """Makes and verifies access tokens; keeps the keys in memory."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer, issuer: str) -> None:
        self.issuer = issuer
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._rows: dict[str, SigningKeyRow] = {}
        self._keys: dict[str, OKPKey] = {}
        self._read_at: datetime | None = None

    async def issue(self, user_id: str, session_id: str, organization_id: str, expires_at: datetime) -> str:
        """A token for this session that lives 15 minutes, or until `expires_at` if that is sooner.

        Raises: DatabaseUnavailable.
        """
        now = self._clock.now()
        key = await self._signing(now)
        claims = AccessClaims(user_id, session_id, organization_id, min(now + tokens.LIFE, expires_at))
        return tokens.sign(claims, key, issuer=self.issuer, audience=AUDIENCE, now=now, token_id=new_id("at"))

    async def prepare(self) -> None:
        """Reads the signing key if it is due: right after, `issue` needs no database. Raises: DatabaseUnavailable.

        Called before committing what cannot be done again (a used refresh token) and then issuing.
        """
        await self._signing(self._clock.now())

    async def verify(self, token: str) -> AccessClaims:
        """What the token says. Raises: Unauthenticated, DatabaseUnavailable."""
        now, kid = self._clock.now(), tokens.key_id(token)
        if kid not in self._rows and self._stale(now, LOOK_AGAIN):
            await self._read(now)
        row = self._rows.get(kid)
        if row is None or row.verifies_until <= now:
            raise Unauthenticated("The access token is refused: its key is unknown or retired. Log in again.")
        return tokens.verify(token, self._keys[kid], issuer=self.issuer, audience=AUDIENCE, now=now)

    async def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517). Raises: DatabaseUnavailable."""
        now = self._clock.now()
        await self._signing(now)
        return {"keys": [row.public for row in self._rows.values() if row.verifies_until > now]}

    async def rotate(self) -> str:
        """The id of a fresh key that signs from now on; the ones before go on verifying for a day.

        Raises: DatabaseUnavailable.
        """
        now = self._clock.now()
        async with self._database.unscoped() as tx:
            await store.lock(tx)
            row = await self._make(now, store_in=tx)
        await self._read(now)
        return row.id

    async def _signing(self, now: datetime) -> OKPKey:
        if self._stale(now, REFRESH) or not any(row.signs_until > now for row in self._rows.values()):
            await self._read(now, make=True)
        newest = max(
            (row for row in self._rows.values() if row.signs_until > now), key=lambda row: (row.created_at, row.id)
        )
        return self._keys[newest.id]

    def _stale(self, now: datetime, after: timedelta) -> bool:
        return self._read_at is None or now - self._read_at >= after

    async def _read(self, now: datetime, *, make: bool = False) -> None:
        async with self._database.unscoped() as tx:
            rows = await store.usable(tx, now)
            if make and not any(row.signs_until > now for row in rows):
                await store.lock(tx)
                rows = await store.usable(tx, now)
                if not any(row.signs_until > now for row in rows):
                    rows = [await self._make(now, store_in=tx), *rows]
                    await store.purge(tx, now)
        self._keys = {row.id: self._keys.get(row.id) or self._opened(row) for row in rows}
        self._rows = {row.id: row for row in rows}
        self._read_at = now

    async def _make(self, now: datetime, *, store_in: Any) -> SigningKeyRow:
        key_id = new_id("sk")
        key = tokens.new_signing_key(key_id)
        private = json.dumps(key.as_dict(private=True)).encode()
        row = SigningKeyRow(
            key_id,
            key.as_dict(private=False),
            self._sealer.seal(private, f"signing_keys/{key_id}"),
            now,
            now + SIGNS_FOR,
            now + SIGNS_FOR + PUBLISHED_AFTER,
        )
        await store.save(store_in, row)
        return row

    def _opened(self, row: SigningKeyRow) -> OKPKey:
        private = json.loads(self._sealer.open(row.sealed, f"signing_keys/{row.id}"))
        return OKPKey.import_key(private)
