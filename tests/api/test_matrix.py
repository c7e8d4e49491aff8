"""Every route, tried by everybody: the guard lets in whom the table (tests/api/matrix.py) names, and nobody else."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from api.app import create_app
from api.core.resource import register
from contracts.rules.access import SYSTEM_ROLES, effective
from infra.crypto import SERVICE_PREFIX, new_api_key
from infra.ids import new_id
from infra.postgres import members, teams, users
from tests.api.conftest import Api, World
from tests.api.matrix import ROUTES

LADDER = tuple(SYSTEM_ROLES)
NOBODY = (
    "anonymous",
    "unknown key",
    "expired key",
    "revoked key",
    "expired session",
    "removed member",
    "disabled person",
)
"""Who did not prove who they are."""
PEOPLE = (*LADDER, "owner", "other organization's admin", "team manager", "stale admin")
KEYS = ("key", "service credential")
PRINCIPALS = (*NOBODY, *PEOPLE, *KEYS)

Headers = dict[str, str]


def may(row: str, principal: str) -> bool:
    """Whether the table lets the principal in."""
    least, *extra = row.split()
    if least in ("public", "anybody") or principal in NOBODY:
        return least == "public" or (principal not in NOBODY and least == "anybody")
    if least == "self":
        return principal in PEOPLE
    if least == "owner":
        return principal in ("owner", "superadmin")
    if principal == "team manager":
        return "team" in extra and LADDER.index(least) <= LADDER.index("manager")
    standing = {"owner": "admin", "other organization's admin": "admin", "stale admin": "admin"}
    standing |= {"key": "admin", "service credential": "user"}
    return LADDER.index(least) <= LADDER.index(standing.get(principal, principal))


def expected(row: str, principal: str) -> tuple[int, str] | None:
    """Status and code of the refusal; None: the guard lets them in."""
    least, *extra = row.split()
    if least == "public":
        return None
    if principal in NOBODY or (least in ("self", "owner") and principal in KEYS):
        return 401, "unauthenticated"
    if principal == "stale admin" and "fresh" in extra and (least == "owner" or may(row, principal)):
        return 401, "step_up_required"
    return None if may(row, principal) else (403, "permission_denied")


class Cast:
    """The principals, as headers; people are made anew for routes that may end them."""

    def __init__(self, api: Api, other: str, team: str) -> None:
        self._api = api
        self._other = other
        self._team = team
        self._known: dict[str, Headers] = {}

    async def headers(self, principal: str, *, again: bool) -> Headers:
        """What the principal's requests carry; `again`: they may not be used for another request."""
        if again and principal in PEOPLE:
            return await self._person(principal)
        if principal not in self._known:
            self._known[principal] = await self._made(principal)
        return self._known[principal]

    async def _made(self, principal: str) -> Headers:
        api, now = self._api, self._api.clock.now()
        match principal:
            case "anonymous":
                return {}
            case "unknown key":
                return api.bearer(new_api_key())
            case "expired key":
                return api.bearer(await api.make_key(["*"], expires_at=now - timedelta(seconds=1)))
            case "revoked key":
                return api.bearer(await api.make_key(["*"], revoked_at=now))
            case "expired session":
                return (await api.make_user("admin", expires_at=now - timedelta(seconds=1))).headers
            case "removed member":
                person = await api.make_user("admin")
                async with api.deps.database.transaction() as tx:
                    await members.remove_member(tx, api.organization, person.id)
                return person.headers
            case "disabled person":
                person = await api.make_user("admin")
                async with api.deps.database.unscoped() as tx:
                    assert await users.set_status(tx, person.id, "disabled", now)
                return person.headers
            case "key":
                return api.bearer(await api.make_key(sorted(effective(("admin",), SYSTEM_ROLES))))
            case "service credential":
                scopes = sorted(effective(("user",), SYSTEM_ROLES))
                return api.bearer(await api.make_key(scopes, kind="service", prefix=SERVICE_PREFIX))
        return await self._person(principal)

    async def _person(self, principal: str) -> Headers:
        api, until = self._api, self._api.clock.now() + timedelta(hours=1)
        if principal == "stale admin":
            return (await api.make_user("admin")).headers
        if principal == "other organization's admin":
            return (await api.make_user("admin", organization=self._other, elevated_until=until)).headers
        roles = () if principal in ("owner", "team manager") else (principal,)
        person = await api.make_user(*roles, owner=principal == "owner", elevated_until=until)
        if principal == "team manager":
            async with api.deps.database.transaction() as tx:
                await members.assign(
                    tx, api.organization, person.id, "manager", team_id=self._team, by="test", now=api.clock.now()
                )
        return person.headers


@pytest.fixture
async def cast(api: Api) -> Cast:
    """Everybody."""
    team = teams.TeamRow(new_id("team"), api.organization, "Research", api.clock.now(), api.clock.now())
    async with api.deps.database.transaction() as tx:
        await teams.save_team(tx, team)
    return Cast(api, await api.make_organization(), team.id)


@pytest.fixture
async def plain(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        yield client


async def test_every_route_stands_in_the_table_and_nothing_else(world: World) -> None:
    served = {f"{method} {path}" for method, path, _ in register(create_app(world.deps))}
    assert served == ROUTES.keys(), "tests/api/matrix.py: one row a route"


@pytest.mark.timeout(300)
async def test_every_route_lets_in_whom_the_table_names_and_nobody_else(cast: Cast, plain: httpx.AsyncClient) -> None:
    bounded = asyncio.Semaphore(8)

    async def tried(route: str, row: str, principal: str) -> str | None:
        async with bounded:
            method, path = route.split(" ")
            again = method != "GET" and row.split()[0] in ("self", "anybody", "owner")
            headers = await cast.headers(principal, again=again)
            answer = await plain.request(method, re.sub(r"\{[^}]+\}", "thing_1", path), headers=headers)
        refused = answer.status_code in (401, 403)
        found = (answer.status_code, answer.json()["error"]["code"]) if refused else None
        wanted = expected(row, principal)
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")
        return None if found == wanted else f"{route} by {principal}: {answer.status_code} {found}, not {wanted}"

    for principal in PRINCIPALS:  # made one after the other: a principal is one person, not eight
        await cast.headers(principal, again=False)
    tries = [(route, row, principal) for route, row in ROUTES.items() for principal in PRINCIPALS]
    wrong = [one for one in await asyncio.gather(*(tried(*one) for one in tries)) if one]
    assert not wrong, "\n".join(wrong)
    assert len(PRINCIPALS) >= 18
