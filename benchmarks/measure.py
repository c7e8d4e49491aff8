"""Interleaved repetitions and what is made of them."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, TypeVar

T = TypeVar("T")
Repetition = Callable[[int], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: `scale` multiplies the numbers of events of a normal run."""

    repetitions: int = 3
    scale: float = 1.0
    full: bool = False

    def events(self, count: int, step: int = 1) -> int:
        """So many events at this size, a multiple of `step`."""
        return max(step, int(count * self.scale) // step * step)


QUICK: Final = Size(repetitions=3, scale=0.5)
NORMAL: Final = Size(repetitions=5, scale=1.0)
FULL: Final = Size(repetitions=5, scale=2.0, full=True)


async def interleaved(runs: Mapping[str, Repetition[T]], repetitions: int) -> dict[str, list[T]]:
    """Every run once, and again, in turn: what the machine does meanwhile hits them all alike."""
    found: dict[str, list[T]] = {name: [] for name in runs}
    for number in range(repetitions):
        for name, run in runs.items():
            found[name].append(await run(number))
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


__all__ = ["FULL", "NORMAL", "QUICK", "Repetition", "Size", "interleaved", "median", "percentile"]
