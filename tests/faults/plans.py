"""A plan: which fault is done to which role under which load. Without a mutant every plan must end clean."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """`role` dies at `point` when it comes there for the `nth` time (no point: it lives).

    `outage` kills an engine for a moment; `late` starts the role after the first load; `stale_lease` stops a
    dispatcher between sending and writing its result until another has taken its lease; `after`: so many events are
    still accepted after that.
    """

    role: str
    point: str | None = None
    nth: int = 1
    outage: str | None = None
    late: bool = False
    stale_lease: bool = False
    conflicts: float = 0.2
    duplicates: float = 0.5
    after: int = 80
