"""A change of rights holds in another process within a second: two servers on one database, and the real clock."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

import httpx

from api.deps import Deps
from infra.clock import SystemClock
from tests.api.conftest import Person, client_of, serving
from tests.api.test_roles import fresh, make_role
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

WITHIN_S = 1.0


async def test_a_changed_role_holds_in_a_second_server_within_a_second(deps: Deps) -> None:
    clock = SystemClock()
    patient = replace(deps.options, database_deadline_s=20.0)  # a busy machine is no outage, for which rights are kept
    there = replace(deps, clock=clock, options=patient)
    async with (
        serving(there) as here_url,
        serving(there) as there_url,
        client_of(here_url, there, cast(FakeClock, clock)) as api,
        httpx.AsyncClient(base_url=there_url, timeout=20) as second,
    ):
        admin, member = await fresh(api, "admin"), await api.make_user("guest")
        role = await make_role(api, admin, ["credits:read"])
        path = f"/v1/members/{member.id}/roles/{role}"

        async def change(method: str, where: str, **options: object) -> None:
            answer = await api.client.request(method, where, headers=admin.headers, **options)  # type: ignore[arg-type]
            assert answer.is_success, answer.text

        for _ in range(3):
            for wanted, act in (
                (200, lambda: change("PUT", path)),
                (403, lambda: change("PATCH", f"/v1/roles/{role}", json={"permissions": []})),
                (200, lambda: change("PATCH", f"/v1/roles/{role}", json={"permissions": ["credits:read"]})),
                (403, lambda: change("DELETE", path)),
            ):
                await held(second, member, act, wanted)
        await held(second, member, lambda: change("DELETE", f"/v1/members/{member.id}"), 401)


async def held(second: httpx.AsyncClient, member: Person, act: Callable[[], Awaitable[None]], wanted: int) -> None:
    """Acts, and looks on the second server until it knows; what is asked a second later, it must know."""
    assert (await second.get("/v1/credits/balance", headers=member.headers)).status_code != wanted
    await act()
    changed_at = time.monotonic()

    async def look() -> bool:
        asked_at = time.monotonic()
        answer = await second.get("/v1/credits/balance", headers=member.headers)
        assert answer.status_code == wanted or asked_at - changed_at < WITHIN_S
        return answer.status_code == wanted

    await eventually(look)
