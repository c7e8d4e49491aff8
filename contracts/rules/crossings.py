"""Thresholds of the balance: low, depleted and recovered, each told once per crossing."""

from enum import StrEnum
from typing import Final, NamedTuple


class Level(StrEnum):
    """Where an organization's balance was last seen to stand."""

    OK = "ok"
    LOW = "low"
    DEPLETED = "depleted"


class Crossing(StrEnum):
    """What is told to the world."""

    LOW = "low"
    DEPLETED = "depleted"
    RECOVERED = "recovered"


class Crossed(NamedTuple):
    """The level now, and what to tell of the way there."""

    level: Level
    told: tuple[Crossing, ...]


_STILL_OK: Final = Crossed(Level.OK, ())


def recovery_micros(threshold_micros: int) -> int:
    """From where on a balance has recovered: a tenth above the threshold, so that it does not flutter."""
    return max(threshold_micros + threshold_micros // 10, 1)


def cross(level: Level, available: int, threshold: int, *, falls: bool) -> Crossed:
    """The level after the balance became `available`, falling or rising.

    A fall past both marks tells both. Depleted is armed again, silently, when half of the threshold is back.
    A first grant that is smaller than the threshold is no crossing: nothing fell.
    """
    if available >= recovery_micros(threshold):
        return _STILL_OK if level is Level.OK else Crossed(Level.OK, (Crossing.RECOVERED,))
    if not falls:
        armed = level is Level.DEPLETED and available > 0 and 2 * available >= threshold
        return Crossed(Level.LOW if armed else level, ())
    told: list[Crossing] = []
    if level is Level.OK and available < threshold:
        level = Level.LOW
        told.append(Crossing.LOW)
    if level is not Level.DEPLETED and available <= 0:
        level = Level.DEPLETED
        told.append(Crossing.DEPLETED)
    return Crossed(level, tuple(told))
