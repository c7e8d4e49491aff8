"""An at-least-once client: records every 202, and sends again what got none, under the same ids."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
import orjson

from contracts.envelope import BATCH_CONTENT_TYPE

TIMEOUT_S: Final = 8.0
"""Longer than the 5 s within which the hub says 503."""
LANE_WIDTH: Final = 4
"""Requests of one organization that may be under way at once."""
RETRIED: Final = ("broker_unavailable", "overloaded")
ORGANIZATIONS: Final = ("org_acme", "org_globex")
TRUSTED: Final = "org_acme"
"""Its lane uses the admin key, which may tell of log-ins."""
MODELS: Final = ("gpt-4o", "gpt-3.5-turbo", "claude-3-haiku")

Identity = tuple[str, str]
"""Organization and event id; the source is one for all."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a receipt says, and when it came (monotonic)."""

    topic: str
    partition: int
    offset: int
    at: float


@dataclass
class Record:
    """What the client knows: the truth that the hub is compared with."""

    source: str
    tokens: dict[Identity, tuple[int, int]] = field(default_factory=dict)
    accepted: dict[Identity, Place] = field(default_factory=dict)
    conflicts: list[Place] = field(default_factory=list)
    logins: dict[Identity, Place] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    on_accepted: list[Callable[[Identity, Place], None]] = field(default_factory=list)

    def count(self, answer: str) -> None:
        self.answers[answer] = self.answers.get(answer, 0) + 1


@dataclass(frozen=True, slots=True)
class Mix:
    """The load: requests a second over both organizations, the largest batch, and how often something odd comes."""

    requests_s: float = 10.0
    batch: int = 10
    duplicates: float = 0.3
    conflicts: float = 0.1
    logins: float = 0.1


class Client:
    """Sends until it is told to stop; what is under way then is still sent until it is answered with a 202."""

    def __init__(self, url: str, keys: dict[str, str], seed: int, mix: Mix) -> None:
        self.record = Record(source=f"urn:faults:{seed}")
        self._url, self._mix = url + "/v1/events", mix
        self._keys = keys | {TRUSTED: keys["admin"]}
        self._chance = random.Random(f"client {seed}")
        self._number = 0
        self.stop = asyncio.Event()

    async def run(self) -> None:
        """One lane for each organization; ends when every request has its 202."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(*(self._lane(session, organization) for organization in ORGANIZATIONS))

    async def _lane(self, session: aiohttp.ClientSession, organization: str) -> None:
        turns = asyncio.Semaphore(LANE_WIDTH)

        async def one() -> None:
            try:
                await self._one_request(session, organization)
            finally:
                turns.release()

        async with asyncio.TaskGroup() as under_way:
            while not self.stop.is_set():
                await turns.acquire()
                under_way.create_task(one())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(2 / self._mix.requests_s * self._chance.uniform(0.5, 1.5)):
                        await self.stop.wait()

    async def _one_request(self, session: aiohttp.ClientSession, organization: str) -> None:
        kinds, events = self._events(organization)
        results = await self._send(session, self._keys[organization], events)
        now = time.monotonic()
        for kind, event, result in zip(kinds, events, results, strict=True):
            place = Place(result["receipt"]["topic"], result["receipt"]["partition"], result["receipt"]["offset"], now)
            identity = (organization, event["id"])
            if kind == "conflict":
                self.record.conflicts.append(place)
            elif kind == "login":
                self.record.logins.setdefault(identity, place)
            elif identity not in self.record.accepted:
                self.record.accepted[identity] = place
                for listener in self.record.on_accepted:
                    listener(identity, place)

    async def _send(
        self, session: aiohttp.ClientSession, key: str, events: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Results when every event of the request is accepted; whatever else comes is tried again, with new times."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": BATCH_CONTENT_TYPE}
        while True:
            self.record.requests += 1
            try:
                async with session.post(self._url, data=orjson.dumps(events), headers=headers) as answer:
                    raw, status = await answer.read(), answer.status
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.record.count(type(error).__name__)
            else:
                self.record.count(str(status))
                if status == 202:
                    results: list[dict[str, Any]] = orjson.loads(raw)["data"]["results"]
                    refused = [result for result in results if result["status"] == "rejected"]
                    if not refused:
                        return results
                    self.record.count("refused")
                    if wrong := [one for one in refused if one["code"] not in RETRIED]:
                        raise AssertionError(f"the API refused {wrong[0]}")
                elif status not in (429, 503):
                    raise AssertionError(f"the API answered {status}: {raw[:500]!r}")
            await asyncio.sleep(self._chance.uniform(0.1, 0.5))
            for event in events:
                event["time"] = self._time()

    def _events(self, organization: str) -> tuple[list[str], list[dict[str, Any]]]:
        """A request: new events, with some luck old ones again (another time), and ids with another body."""
        mix, chance = self._mix, self._chance
        made: list[tuple[str, dict[str, Any]]] = [
            ("new", self._new(organization)) for _ in range(chance.randint(1, mix.batch))
        ]
        known = [identity for identity in self.record.accepted if identity[0] == organization]
        if known and chance.random() < mix.duplicates:
            wanted = {chance.choice(known) for _ in range(chance.randint(1, 5))}
            made += [("again", self._usage(event_id, *self.record.tokens[org, event_id])) for org, event_id in wanted]
            chance.shuffle(made)
        if known and chance.random() < mix.conflicts:
            org, event_id = chance.choice(known)
            made = [one for one in made if one[1]["id"] != event_id]
            made.append(("conflict", self._usage(event_id, self.record.tokens[org, event_id][0] + 1, 7)))
        if organization == TRUSTED and chance.random() < mix.logins:
            made.append(("login", self._login()))
        return [kind for kind, _ in made], [event for _, event in made]

    def _new(self, organization: str) -> dict[str, Any]:
        self._number += 1
        event_id = f"use-{self._number}"
        tokens = (self._chance.randint(1, 5_000), self._chance.randint(1, 1_000))
        self.record.tokens[organization, event_id] = tokens
        return self._usage(event_id, *tokens)

    def _usage(self, event_id: str, input_tokens: int, output_tokens: int) -> dict[str, Any]:
        model = MODELS[int(event_id[4:]) % len(MODELS)]
        data = {"service": "chat", "model": model, "input_tokens": input_tokens, "output_tokens": output_tokens}
        return self._envelope("usage.recorded.v1", event_id, data)

    def _login(self) -> dict[str, Any]:
        self._number += 1
        data = {"user_id": "user_1", "actor": "user_1", "address": "192.0.2.7"}
        return self._envelope("auth.user.logged_in.v1", f"log-{self._number}", data)

    def _envelope(self, kind: str, event_id: str, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "type": kind,
            "source": self.record.source,
            "id": event_id,
            "time": self._time(),
            "data": data,
        }

    def _time(self) -> str:
        """Somewhen in the last ten minutes: records come reordered by their own time."""
        past = timedelta(seconds=self._chance.uniform(0, 600))
        return (datetime.now(UTC) - past).isoformat(timespec="microseconds").replace("+00:00", "Z")
