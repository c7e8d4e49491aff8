"""The demo's usage: a seeded synthetic workload, or a real trace."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from contracts.types import rfc3339
from infra.ops import usage_rows
from infra.ops.usage_mapping import ColumnMapping, event_of, parse_mapping, time_of

MODELS: Final = (("openai", "gpt-4o"), ("openai", "gpt-3.5-turbo"), ("anthropic", "claude-3-haiku"))
MODEL_WEIGHTS: Final = (0.35, 0.45, 0.20)
USERS: Final = 200
USER_SKEW: Final = 1.2


@dataclass(frozen=True, slots=True)
class Use:
    """One event of one organization (an index into the demo's organizations), due at `at_s` from the start."""

    organization: int
    at_s: float
    event: dict[str, Any]


def synthetic(count: int, organizations: int, seed: int, source: str, now: datetime) -> Iterator[Use]:
    """A seeded workload: log-normal token counts, a power law over users, organizations and models.

    The same seed gives the same uses, times aside.
    """
    chance = random.Random(seed)  # noqa: S311 - a reproducible workload, no secret
    for number in range(1, count + 1):
        event = {
            "specversion": "1.0",
            "type": "usage.recorded.v1",
            "source": source,
            "id": f"use-{number}",
            "time": rfc3339(now),
            "data": {
                "input_tokens": min(128_000, 1 + int(chance.lognormvariate(6.3, 1.1))),
                "output_tokens": min(16_000, 1 + int(chance.lognormvariate(5.0, 0.9))),
                "duration_ms": 50 + int(chance.lognormvariate(6.5, 0.8)),
            },
        }
        organization = _assign(event, organizations, chance.random(), chance.random(), chance.random())
        yield Use(organization, 0.0, event)


def trace(
    path: Path, map_text: str | None, organizations: int, source: str, now: datetime, speed: float | None
) -> Iterator[Use]:
    """Every row of a trace, tokens exactly as it says; who used what is assigned where the trace has no column.

    Raises: Invalid, Malformed.
    """
    mapping = parse_mapping(map_text, usage_rows.columns(path))
    first: datetime | None = None
    for number, row in enumerate(usage_rows.rows(path), 1):
        event = event_of(row, mapping, source=source, default_id=f"row-{number}", start=now)
        at = time_of(row[mapping["time"]], now) if mapping["time"] else now
        first = first or at
        who, which, what = _fractions(f"{path.name}:{number}")
        organization = _assign(event, organizations, _customer(row, mapping, who), which, what)
        yield Use(organization, (at - first).total_seconds() / speed if speed else 0.0, event)


def _assign(event: dict[str, Any], organizations: int, who: float, which: float, what: float) -> int:
    """Fills in what the event does not say; the index of the organization that used it."""
    data = event["data"]
    provider, model = _pick(what)
    data.setdefault("service", "chat")
    if "model" not in data:
        data.update(provider=provider, model=model)
    data.setdefault("operation", "chat.completions")
    data.setdefault("user", f"user_{_power_law(which, USERS)}")
    return _power_law(who, organizations) - 1


def _pick(fraction: float) -> tuple[str, str]:
    for choice, weight in zip(MODELS, MODEL_WEIGHTS, strict=True):
        fraction -= weight
        if fraction < 0:
            return choice
    return MODELS[-1]


def _power_law(fraction: float, count: int) -> int:
    """A rank from 1 to `count`: low ranks far more often (inverse of a truncated Pareto distribution)."""
    tail = (count + 1) ** (1 - USER_SKEW)
    return min(count, int((1 - fraction * (1 - tail)) ** (1 / (1 - USER_SKEW))))


def _fractions(text: str) -> Sequence[float]:
    digest = hashlib.blake2b(text.encode(), digest_size=24).digest()
    return [int.from_bytes(digest[at : at + 8], "big") / 2**64 for at in (0, 8, 16)]


def _customer(row: dict[str, Any], mapping: ColumnMapping, fallback: float) -> float:
    column = mapping["customer"]
    return _fractions(str(row[column]))[0] if column else fallback
