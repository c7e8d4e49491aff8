"""The events that are sent: realistic usage of about 400 bytes, and the very records that the ingress makes of them."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from api.core.principal import Principal
from api.events.judge import Judge
from contracts.types import rfc3339
from infra.app.workload import synthetic

SOURCE: Final = "/benchmarks"


def usage(count: int, prefix: str, seed: int = 1) -> list[dict[str, Any]]:
    """So many CloudEvents with ids of their own, as a client sends them (token counts and models as in the demo)."""
    now = datetime.now(UTC)
    events = [use.event for use in synthetic(count, 1, seed, SOURCE, now)]
    for number, event in enumerate(events):
        event["id"] = f"{prefix}-{number}"
    return events


def records(events: Sequence[dict[str, Any]], organizations: Sequence[str], seed: int = 1) -> dict[str, list[bytes]]:
    """The events as records on Kafka, byte for byte as the ingress writes them, dealt out evenly by chance."""
    chance = random.Random(seed)
    now = datetime.now(UTC)
    judges = {one: _judge(one, now) for one in organizations}
    found: dict[str, list[bytes]] = {one: [] for one in organizations}
    for event in events:
        organization = organizations[int(chance.random() * len(organizations))]
        found[organization].append(judges[organization].judge(event).value)
    return found


def _judge(organization: str, now: datetime) -> Judge:
    who = Principal("key_benchmark", organization, frozenset(("events:*",)))
    return Judge(who, now, "req_0199abcd0199abcd0199abcd0199abcd", data_at="/data", organizations=frozenset())


def stamp() -> str:
    """Now, as events carry it."""
    return rfc3339(datetime.now(UTC))
