"""Clocks that are off are set right by PostgreSQL's; others are left alone."""

from datetime import timedelta

import pytest

from infra.clock import SharedClock, SystemClock
from infra.embedded.ports import free_ports
from infra.postgres.database import Database
from infra.postgres.shared_time import ask, kept_right
from infra.telemetry import metrics
from tests.support.clock import FakeClock

CLOSE = timedelta(seconds=5)
"""An answer of a busy server takes a moment, and the middle of it is taken."""


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(minutes=-3)])
async def test_a_clock_that_is_off_is_set_right(database: Database, ahead: timedelta) -> None:
    own = FakeClock(SystemClock().now() + ahead)
    clock = SharedClock(own)
    async with kept_right(clock, database):
        assert abs(clock.now() - SystemClock().now()) < CLOSE
        assert abs(clock.ahead - ahead) < CLOSE
        assert metrics.CLOCK_AHEAD_SECONDS._value.get() == clock.ahead.total_seconds()
        own.set(SystemClock().now())
        assert await ask(clock, database)
    assert abs(clock.ahead) < CLOSE


async def test_a_clock_that_is_right_is_left_alone(database: Database) -> None:
    clock = SharedClock(SystemClock())
    assert await ask(clock, database)
    assert clock.ahead == timedelta()


async def test_a_server_that_does_not_answer_changes_nothing() -> None:
    database = Database.open(f"postgresql://nobody:x@127.0.0.1:{free_ports(1)[0]}/none")
    clock = SharedClock(FakeClock())
    clock.ahead = timedelta(seconds=7)
    assert not await ask(clock, database)
    assert clock.ahead == timedelta(seconds=7)
    await database.close()


def test_an_answer_that_took_long_proves_no_more_than_it_says() -> None:
    own = FakeClock()
    asked = own.now()
    clock = SharedClock(own)
    clock.set_right(asked, asked + timedelta(seconds=3), asked + timedelta(seconds=4))
    assert clock.ahead == timedelta()
    clock.set_right(asked, asked - timedelta(seconds=3), asked + timedelta(seconds=1))
    assert clock.ahead == timedelta(seconds=3.5)
    assert clock.now() == asked - timedelta(seconds=3.5)
