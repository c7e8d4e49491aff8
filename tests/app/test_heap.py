"""Freed memory goes back to the system."""

import sys
from pathlib import Path

import pytest

from infra.app import heap


def anonymous_kb() -> int:
    found = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in found if line.startswith("RssAnon"))


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps what it could give back")
def test_pages_in_the_middle_of_the_heap_that_nothing_uses_are_given_back() -> None:
    blocks = [bytes(2_000) for _ in range(30_000)]  # from malloc: Python's own pools are for smaller objects
    kept = blocks[::100]
    full = anonymous_kb()
    del blocks
    assert heap.trim()
    assert anonymous_kb() < full - 30_000
    assert len(kept) == 300


def test_fewer_arenas_may_be_asked_for_at_any_time() -> None:
    heap.few_arenas()
    heap.few_arenas()
