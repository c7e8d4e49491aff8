"""Slots and backlog: no endpoint takes the room of the others, and nothing is forgotten."""

import random
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.webhooks.backlog import Backlog
from consumers.webhooks.slots import SLOW_S, Limits, Slot, Slots, Trust
from infra.ids import new_uuid
from infra.postgres.webhooks_queue import Leased

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def _row(endpoint: str) -> Leased:
    return Leased(new_uuid(), UUID(int=0), endpoint, new_uuid(), 0, 1, NOW, "{}", None)


def _prove(slots: Slots, endpoint: str, host: str, at: float = 0.0) -> None:
    slot = slots.take(endpoint, host, at)
    assert isinstance(slot, Slot)
    slots.release(slot, answered=True, timed_out=False)


def _taken(slots: Slots, endpoint: str, host: str, at: float = 0.0, tries: int = 300) -> list[Slot]:
    return [slot for _ in range(tries) if isinstance(slot := slots.take(endpoint, host, at), Slot)]


def test_an_endpoint_that_has_not_answered_yet_gets_one_slot_and_then_eight() -> None:
    slots = Slots()
    (only,) = _taken(slots, "a", "h")
    slots.release(only, answered=True, timed_out=False)
    assert len(_taken(slots, "a", "h")) == 8


def test_a_host_gets_sixteen_however_many_endpoints_it_has() -> None:
    slots = Slots()
    for number in range(10):
        _prove(slots, f"e{number}", "h")
    assert sum(len(_taken(slots, f"e{number}", "h")) for number in range(10)) == 16


def test_all_together_get_two_hundred() -> None:
    slots = Slots()
    for number in range(300):
        _prove(slots, f"e{number}", f"h{number}")
    assert sum(len(_taken(slots, f"e{number}", f"h{number}")) for number in range(300)) == 200


def test_a_timeout_makes_an_endpoint_suspect_and_an_answer_clears_it() -> None:
    slots = Slots()
    _prove(slots, "a", "h")
    slot = slots.take("a", "h", 0.0)
    assert isinstance(slot, Slot)
    slots.release(slot, answered=False, timed_out=True)
    assert slots.trust("a", 0.0) is Trust.SUSPECT
    (only,) = _taken(slots, "a", "h")
    slots.release(only, answered=True, timed_out=False)
    assert slots.trust("a", 0.0) is Trust.PROVEN


def test_an_endpoint_with_a_slow_attempt_is_suspect_while_it_lasts() -> None:
    slots = Slots()
    _prove(slots, "a", "h")
    assert isinstance(slots.take("a", "h", 0.0), Slot)
    assert slots.trust("a", SLOW_S) is Trust.PROVEN
    assert slots.trust("a", SLOW_S + 0.1) is Trust.SUSPECT


def test_a_thousand_hanging_endpoints_leave_room_for_those_that_answer() -> None:
    slots = Slots()
    for number in range(50):
        _prove(slots, f"good{number}", f"g{number}")
    for number in range(1000):
        _taken(slots, f"bad{number}", f"b{number}", tries=2)
    assert slots.in_flight == 150
    assert sum(len(_taken(slots, f"good{number}", f"g{number}")) for number in range(50)) == 50


def test_suspects_of_one_host_leave_room_for_its_proven_endpoints() -> None:
    slots = Slots()
    _prove(slots, "good", "h")
    for number in range(100):
        _taken(slots, f"bad{number}", "h", tries=2)
    assert len(_taken(slots, "good", "h")) == 4


STEPS = st.lists(st.integers(0, 2**32), min_size=1, max_size=200)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 12), st.integers(1, 3))
def test_everything_is_sent_in_order_within_the_limits_whatever_happens(
    seeds: list[int], endpoints: int, hosts: int
) -> None:
    limits = Limits(total=6, host=4, endpoint=3, careful_total=5, careful_host=3, suspect_total=2, suspect_host=1)
    slots = Slots(limits)
    backlog = Backlog(slots)
    sent: dict[str, list[UUID]] = {}
    expected: dict[str, list[UUID]] = {}
    flying: list[Slot] = []
    at = 0.0

    def host(endpoint: str) -> str:
        return f"h{int(endpoint) % hosts}"

    def pump() -> None:
        while taken := backlog.take(at):
            row, slot = taken
            sent.setdefault(row.endpoint_id, []).append(row.id)
            flying.append(slot)
            assert slots.in_flight == len(flying) <= limits.total
            for name in {one.host for one in flying}:
                assert sum(one.host == name for one in flying) <= limits.host
            assert sum(one.endpoint == row.endpoint_id for one in flying) <= limits.endpoint
            assert sum(one.trust is Trust.SUSPECT for one in flying) <= limits.suspect_total

    def land(chance: random.Random) -> None:
        slot = flying.pop(chance.randrange(len(flying)))
        fate = chance.random()
        backlog.freed(slot, slots.release(slot, answered=fate < 0.5, timed_out=fate > 0.8))

    for seed in seeds:
        chance = random.Random(seed)
        at += chance.random()
        if flying and chance.random() < 0.5:
            land(chance)
        else:
            endpoint = str(chance.randrange(endpoints))
            new = [_row(endpoint) for _ in range(chance.randrange(1, 4))]
            expected.setdefault(endpoint, []).extend(row.id for row in new)
            backlog.add(endpoint, host(endpoint), new)
        pump()
    last = random.Random(0)
    while flying:
        land(last)
        pump()
    assert backlog.size == 0
    assert sent == expected
