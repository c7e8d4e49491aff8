"""What reconcile finds, by id, and sums per organization and hour."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from contracts.types import rfc3339

SHOWN: Final = 50
STORES: Final = ("kafka", "ledger", "analytics")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs. `check` is one of the names that the metrics know; `subject` names the id."""

    check: str
    subject: str
    detail: str
    organization: str = ""

    def line(self) -> str:
        """The difference as one line for a person."""
        return f"{self.check}: {self.subject} {self.detail}" + (f" ({self.organization})" if self.organization else "")


@dataclass(slots=True)
class HourSums:
    """Events, tokens and micro-credits of one organization and hour, as each store has them."""

    events: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    tokens: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    micros: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, store: str, tokens: int) -> None:
        """One more event of a store."""
        self.events[store] += 1
        self.tokens[store] += tokens


@dataclass(slots=True)
class Reconciliation:
    """The verdict: `clean`, or what differs. `compared` counts events by store; `pending` are still on their way,
    `marks` say up to where each partition was read."""

    differences: list[Difference] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    hours: dict[tuple[str, datetime], HourSums] = field(default_factory=lambda: defaultdict(HourSums))
    marks: dict[tuple[str, int], int] = field(default_factory=dict)
    pending: int = 0
    repaired: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def by_check(self) -> dict[str, int]:
        """How many differences each check found."""
        counts: dict[str, int] = defaultdict(int)
        for difference in self.differences:
            counts[difference.check] += 1
        return dict(counts)

    def lines(self) -> list[str]:
        """The first 50 differences, by id."""
        shown = [difference.line() for difference in self.differences[:SHOWN]]
        more = len(self.differences) - len(shown)
        return shown + ([f"... and {more} more"] if more > 0 else [])

    def report(self) -> dict[str, Any]:
        """The verdict as JSON: all differences, and the hours whose sums differ."""
        return {
            "clean": self.clean,
            "compared": dict(self.compared),
            "pending": self.pending,
            "repaired": self.repaired,
            "by_check": self.by_check(),
            "differences": [
                {"check": d.check, "subject": d.subject, "detail": d.detail, "organization": d.organization}
                for d in self.differences
            ],
            "hours": [
                {
                    "organization": organization,
                    "hour": rfc3339(hour),
                    "events": dict(sums.events),
                    "tokens": dict(sums.tokens),
                    "micros": dict(sums.micros),
                }
                for (organization, hour), sums in sorted(self.hours.items())
                if _differ(sums)
            ],
        }


def _differ(sums: HourSums) -> bool:
    events = {sums.events.get(store, 0) for store in STORES}
    tokens = {sums.tokens.get(store, 0) for store in STORES}
    return len(events) > 1 or len(tokens) > 1 or sums.micros.get("ledger", 0) != sums.micros.get("analytics", 0)
