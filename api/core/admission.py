"""The guard of every route: who asks, may they, and whose rows their transactions see."""

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

from api.core.key_use import KeyUse
from api.core.keyring import Keyring
from api.core.limits import Limiter
from api.core.people import People
from api.core.principal import ANY_ORGANIZATION, Kind, Principal
from api.core.request_ids import Context
from api.core.standings import Standings
from contracts.errors import MfaRequired, NotFound, PermissionDenied, Unauthenticated
from contracts.rules.access import PUBLIC, SELF
from contracts.rules.limits import DEFAULT, INGEST
from infra.clock import Clock
from infra.crypto import KEY_PREFIX, SERVICE_PREFIX
from infra.postgres import tenancy
from infra.telemetry import tracing


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route asks for: a permission (or PUBLIC, SELF, ANYBODY); `step_up`: a person has just proved who they are;
    `in_team`: holding the permission in one team will do, the service narrows to it; `limit`: its class of
    contracts/rules/limits.py."""

    permission: str
    step_up: bool = False
    in_team: bool = False
    limit: str = DEFAULT


class Gate:
    """Authenticates and authorises requests."""

    def __init__(
        self, keyring: Keyring, people: People, standings: Standings, limiter: Limiter, clock: Clock, key_use: KeyUse
    ) -> None:
        self._key_use = key_use
        self._limiter = limiter
        self._keyring = keyring
        self._people = people
        self._standings = standings
        self._clock = clock

    async def admit(self, context: Context, needs: Needs) -> Principal | None:
        """The principal, once it is known to have the permission; None on public routes.

        From here on the request's transactions see the principal's organization only; platform staff see all.
        Raises: Unauthenticated, PermissionDenied, MfaRequired, StepUpRequired, RateLimited, DatabaseUnavailable.
        """
        tracing.note("aihub.request_id", context.request_id)
        if needs.permission == PUBLIC:
            await self._limiter.admit(context, None, needs.limit)
            return None
        try:
            who = await self.authenticate(context)
        except Unauthenticated:  # a guess is a guest's request
            await self._limiter.admit(context, None, DEFAULT if needs.limit == INGEST else needs.limit)
            raise
        await self._limiter.admit(context, who, needs.limit)
        context.found["principal"] = who
        if who.must_enrol and needs.permission != SELF:
            raise MfaRequired(
                "The organization demands a second factor: set up an authenticator app (POST /v1/auth/mfa/totp)"
                " or a passkey (POST /v1/auth/mfa/passkeys/options) first."
            )
        if not (needs.in_team and who.teams_with(needs.permission)):
            who.require(needs.permission)
        if needs.step_up:
            who.require_step_up(self._clock.now())
        tenancy.act_for(None if who.may(ANY_ORGANIZATION) else who.organization_id)
        return who

    async def authenticate(self, context: Context) -> Principal:
        """Who asks.

        Raises: Unauthenticated, PermissionDenied (a key from elsewhere), NotFound (a service's subject is no member),
        DatabaseUnavailable.
        """
        credential = _presented(context.headers)
        if credential.startswith((KEY_PREFIX, SERVICE_PREFIX)):
            who = await self._keyring.principal(credential)
            if who.networks and not _inside(context.address, who.networks):
                raise PermissionDenied(f"This key may not be used from {context.address}; see its allowed networks.")
            self._key_use.note(who, context, self._clock.now())
            return await self._speaking(who, context) if who.kind is Kind.SERVICE else who
        if credential.count(".") != 2:
            raise Unauthenticated("This is neither an API key (aihub_live_...) nor an access token; log in again.")
        return await self._people.principal(credential)

    async def _speaking(self, who: Principal, context: Context) -> Principal:
        """A service credential with the member whom it speaks for; the header counts for nobody else."""
        raw = context.headers.get(b"x-user-id")
        if not raw:
            return who
        subject = raw.decode("latin-1")
        standing = await self._standings.of(who.organization_id, subject) if "\x00" not in subject else None
        if standing is None or standing.status != "active":
            raise NotFound("X-User-ID is not an active member of this organization.")
        return replace(who, subject=subject)


def _presented(headers: dict[bytes, bytes]) -> str:
    """The credential in `Authorization: Bearer` or `X-API-Key`. Raises: Unauthenticated."""
    raw = headers.get(b"authorization")
    if raw is not None:
        scheme, _, value = raw.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Unauthenticated("Send the API key or access token as `Authorization: Bearer ...`.")
        raw = value.strip()
    else:
        raw = headers.get(b"x-api-key")
    if not raw:
        raise Unauthenticated("This route needs an API key or an access token: send `Authorization: Bearer ...`.")
    return raw.decode("latin-1")


def _inside(address: str, networks: tuple[str, ...]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in ip_network(network) for network in networks)
