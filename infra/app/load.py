"""Sends a workload through the real HTTP ingress, an organization a client."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from infra.app.workload import Use
from infra.http.hub_client import HubClient

BATCH: Final = 200
LANES: Final = 2


@dataclass(slots=True)
class Load:
    """What was sent and what the hub said of it; token sums are of what was accepted."""

    sent: int = 0
    accepted: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    by_organization: dict[int, int] = field(default_factory=dict)
    rejections: list[dict[str, Any]] = field(default_factory=list)

    def note(self, organization: int, events: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> None:
        """Adds one answered batch."""
        self.sent += len(events)
        for event, result in zip(events, results, strict=True):
            if result["status"] != "accepted":
                self.rejections.append(result)
                continue
            self.accepted += 1
            self.input_tokens += event["data"].get("input_tokens", 0)
            self.output_tokens += event["data"].get("output_tokens", 0)
            self.by_organization[organization] = self.by_organization.get(organization, 0) + 1


async def send_all(clients: Sequence[HubClient], uses: Iterable[Use], on_sent: Callable[[int], None]) -> Load:
    """Sends every use with its organization's client, in batches, two requests at once; `on_sent(n)` per batch.

    Raises: HubRefused, Unavailable.
    """
    load = Load()
    turns = asyncio.Semaphore(LANES)
    loop = asyncio.get_running_loop()
    started = loop.time()

    async def send(organization: int, events: list[dict[str, Any]]) -> None:
        try:
            answer = await clients[organization].send(events)
            load.note(organization, events, answer.results)
            on_sent(len(events))
        finally:
            turns.release()

    async with asyncio.TaskGroup() as tasks:
        for at_s, organization, events in _batches(uses):
            await asyncio.sleep(max(0.0, started + at_s - loop.time()))
            await turns.acquire()
            tasks.create_task(send(organization, events))
    return load


def _batches(uses: Iterable[Use]) -> Iterator[tuple[float, int, list[dict[str, Any]]]]:
    """Batches of one organization each, due when their first use is due; paced uses go in slices of 50 ms."""
    for _, moment in itertools.groupby(uses, key=lambda use: int(use.at_s * 20)):
        waiting: dict[int, list[Use]] = {}
        for use in moment:
            batch = waiting.setdefault(use.organization, [])
            batch.append(use)
            if len(batch) == BATCH:
                yield _batch(waiting.pop(use.organization))
        yield from (_batch(batch) for batch in waiting.values())


def _batch(uses: Sequence[Use]) -> tuple[float, int, list[dict[str, Any]]]:
    return uses[0].at_s, uses[0].organization, [use.event for use in uses]
