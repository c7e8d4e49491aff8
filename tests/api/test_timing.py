"""Answers take as long for an address that has an account as for one that has none."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.api.accounts import Account, an_account
from tests.api.conftest import Api

ROUNDS = 60
MARGIN = 0.3
"""Of all 3,600 pairs the share in which the known address took longer (Mann and Whitney's U / n^2) is 1/2 with a
standard error of 0.053 when both are the same: the margin is 5.7 of them."""

Ask = Callable[[Account], Awaitable[httpx.Response]]
QUESTIONS: dict[str, tuple[Ask, int]] = {
    "log in": (lambda account: account.log_in("wrong in any case"), 401),
    "register": (lambda account: account.register(), 201),
    "forgot the password": (lambda account: account.post("/v1/auth/password/forgot", {"email": account.email}), 202),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_known_and_unknown_addresses_take_the_same_time(own_api: Api, question: str) -> None:
    ask, status = QUESTIONS[question]
    ada = await an_account(own_api)
    loop, taken = asyncio.get_running_loop(), {True: [], False: []}
    for number in range(ROUNDS):
        for known in (True, False) if number % 2 else (False, True):
            email = ada.email if known else f"nobody{number}@example.com"
            account = Account(own_api, email=email, address=f"198.51.{number + 1}.{1 + known}")
            begun = loop.time()
            answer = await ask(account)
            taken[known].append(loop.time() - begun)
            assert answer.status_code == status
        own_api.clock.advance(3700)
    longer = sum(one > other for one in taken[True] for other in taken[False]) / ROUNDS**2
    assert abs(longer - 0.5) < MARGIN, longer
    assert 0.75 < statistics.median(taken[True]) / statistics.median(taken[False]) < 1.33
