"""What was looked up a moment ago."""

import asyncio
from datetime import timedelta

from api.core.remembered import Remembered
from contracts.errors import DatabaseUnavailable
from tests.support.clock import FakeClock
from tests.support.eventually import eventually


class Store:
    """Counts how often it is asked; answers with the count once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.open = asyncio.Event()
        self.away = False

    async def look_up(self, _key: str) -> int | None:
        self.asked += 1
        answer = self.asked
        await self.open.wait()
        if self.away:
            raise DatabaseUnavailable("away")
        return answer


async def test_a_busy_key_is_asked_for_again_behind_its_requests_backs() -> None:
    clock, store = FakeClock(), Store()
    store.open.set()
    known = Remembered(store.look_up, clock, ahead=timedelta(seconds=0.5))
    assert await known.get("a", clock.now()) == 1
    clock.advance(0.4)
    assert await known.get("a", clock.now()) == 1
    assert store.asked == 1
    clock.advance(0.2)
    store.open.clear()
    for _ in range(3):
        assert await known.get("a", clock.now()) == 1, "nobody waits"
    await eventually(lambda: store.asked == 2)
    store.open.set()

    async def new() -> bool:
        return await known.get("a", clock.now()) == 2

    await eventually(new)
    assert store.asked == 2
    clock.advance(0.95)
    assert await known.get("a", clock.now()) == 3, "what was asked for nowhere near is waited for"


async def test_what_is_asked_ahead_while_the_store_is_away_harms_nobody() -> None:
    clock, store = FakeClock(), Store()
    store.open.set()
    known = Remembered(store.look_up, clock, ahead=timedelta(seconds=0.5))
    assert await known.get("a", clock.now()) == 1
    store.away = True
    for _ in range(30):
        clock.advance(0.3)
        assert await known.get("a", clock.now()) == 1
    store.away = False

    async def new() -> bool:
        clock.advance(0.95)
        return await known.get("a", clock.now()) == store.asked

    await eventually(new)


async def test_what_is_forgotten_while_it_is_asked_for_is_asked_for_again() -> None:
    clock, store = FakeClock(), Store()
    known = Remembered(store.look_up, clock)
    early = asyncio.create_task(known.get("a", clock.now()))
    await eventually(lambda: store.asked == 1)
    known.forget_where(lambda key: key == "a")
    late = asyncio.create_task(known.get("a", clock.now()))
    await eventually(lambda: store.asked == 2)
    store.open.set()
    assert (await early, await late) == (1, 2)
    assert await known.get("a", clock.now()) == 2, "the early answer may be older than the change"
