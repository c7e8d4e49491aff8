"""Seeded bugs: each breaks one law of the pipeline, in one role, and must be caught by its plan."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

from tests.faults.plans import Plan
from tests.faults.points import replace

Apply = Callable[[], None]


class Mutant(NamedTuple):
    """A bug: what it is, how a process gets it, how it is found, and a word of the verdict that proves it."""

    role: str
    says: str
    apply: Apply
    plan: Plan
    shows: str


def _offset_before_effect() -> None:
    from consumers.lag import reached, spans

    def make(original: Any) -> Any:
        async def work(self: Any, records: Any, *rest: Any) -> Any:
            await self._member.commit(reached(spans(records)))
            return await original(self, records, *rest)

        return work

    replace("consumers.runtime:ConsumerApp._work", make)


def _effect_without_inbox() -> None:
    async def forgetful(_tx: Any, _rows: Any) -> None:
        return None

    replace("infra.postgres.ledger_write:add_inbox", lambda _original: forgetful)


def _accepted_before_ack() -> None:
    from infra.kafka.producer import Placed

    tasks = set()

    def make(original: Any) -> Any:
        async def send(self: Any, topic: Any, key: Any, values: Any, *rest: Any, **named: Any) -> Placed:
            async def later() -> None:
                await asyncio.sleep(0.3)
                await original(self, topic, key, values, *rest, **named)

            tasks.add(asyncio.create_task(later()))
            return Placed(topic.name, 0, list(range(len(values))))

        return send

    replace("infra.kafka.producer:Producer.send", make)


def _outbox_outside_transaction() -> None:
    from producers import outbox

    stated: list[Any] = []

    def keep(_original: Any) -> Any:
        async def save_many(_tx: Any, topic: Any, events: Any) -> None:
            stated.append((topic, list(events)))

        return save_many

    save_many = outbox.save_many
    replace("producers.outbox:save_many", keep)

    def make(original: Any) -> Any:
        async def handle(self: Any, batch: Any) -> None:
            await original(self, batch)
            while stated:
                async with self.database.transaction() as tx:
                    await save_many(tx, *stated.pop(0))

        return handle

    replace("consumers.credits.handlers:CreditsHandler.handle", make)


def _lease_without_fencing() -> None:
    guard = " AND d.fencing = r.fencing AND d.lease_owner = r.owner AND d.state = 'pending'"
    replace("infra.postgres.webhooks_results:_RECORD", lambda sql: _without(sql, guard))


def _without(text: str, part: str, instead: str = "") -> str:
    assert part in text, f"the product has no {part!r} any more"
    return text.replace(part, instead)


def _swallowed_handler_error() -> None:
    def make(original: Any) -> Any:
        async def handled(self: Any, batch: Any) -> Any:
            try:
                return await original(self, batch)
            except Exception:  # noqa: BLE001 - the bug
                return []

        return handled

    replace("consumers.effects:Effects._handled", make)


def _outage_parks() -> None:
    from contracts.errors import DatabaseUnavailable, Fate

    DatabaseUnavailable.fate = Fate.PARK


def _time_in_identity() -> None:
    def make(original: Any) -> Any:
        def identities(usage: Any) -> Any:
            times = usage.column("event_time").cast("string").to_pylist()
            return [
                hashlib.blake2b(one + at.encode(), digest_size=16).digest()
                for one, at in zip(original(usage), times, strict=True)
            ]

        return identities

    replace("consumers.analytics.rows:identities", make)


def _commits_all_partitions() -> None:
    def make(original: Any) -> Any:
        async def commit(self: Any, _places: Any) -> Any:
            await asyncio.sleep(0.5)
            return await original(self, await self.end_offsets())

        return commit

    replace("infra.kafka.subscriber:GroupMember.commit", make)


def _memory_only_dedup() -> None:
    from consumers.analytics import rows
    from infra.clickhouse.facts import Place

    memory: dict[bytes, set[Place]] = {}

    def remember(original: Any) -> Any:
        async def insert(clickhouse: Any, found: Any) -> None:
            for row, identity in enumerate(found.column("identity").to_pylist()):
                memory.setdefault(identity, set()).add(rows.place_of(found, row))
            await original(clickhouse, found)

        return insert

    async def known(_clickhouse: Any, identities: Any) -> dict[bytes, set[Place]]:
        return {identity: memory[identity] for identity in identities if identity in memory}

    replace("infra.clickhouse.facts:insert_identities", remember)
    replace("infra.clickhouse.facts:known", lambda _original: known)


def _body_hash_ignored() -> None:
    replace(
        "consumers.credits.handlers:sort_out",
        lambda original: lambda incoming, known: (original(incoming, known)[0], []),
    )


def _outbox_deleted_before_publish() -> None:
    from infra.postgres import outbox

    def make(original: Any) -> Any:
        async def oldest(tx: Any, **limits: Any) -> Any:
            found = await original(tx, **limits)
            if found:
                await outbox.remove(tx, [row.id for row in found])
            return found

        return oldest

    replace("infra.postgres.outbox:oldest", make)


def _parks_without_ack() -> None:
    tasks = set()

    def make(original: Any) -> Any:
        async def park(self: Any, parked: Any) -> None:
            async def later() -> None:
                await asyncio.sleep(0.5)
                await original(self, parked)

            tasks.add(asyncio.create_task(later()))

        return park

    replace("consumers.effects:Effects._park", make)


def _facts_not_awaited() -> None:
    tasks = set()

    def make(original: Any) -> Any:
        async def insert_usage(*args: Any) -> None:
            async def later() -> None:
                await asyncio.sleep(3)  # the bug: longer than the role takes from here to its kill
                await original(*args)

            tasks.add(asyncio.create_task(later()))

        return insert_usage

    replace("infra.clickhouse.facts:insert_usage", make)


def _counts_at_insert() -> None:
    def make(original: Any) -> Any:
        async def command(self: Any, sql: str, *rest: Any, **named: Any) -> None:
            plain = sql.replace("ReplacingMergeTree(rank)", "MergeTree").replace("_facts FINAL", "_facts")
            await original(self, plain, *rest, **named)

        return command

    replace("infra.clickhouse.client:ClickHouse.command", make)


def _delivered_before_sent() -> None:
    from consumers.webhooks.delivery import result_of
    from infra.http.sender import Reply

    def make(original: Any) -> Any:
        async def send(self: Any, leased: Any, slot: Any) -> None:
            _, result = result_of(leased, Reply(204, 1), self._clock.now(), 0.5)
            self._recorder.add(leased.endpoint_id, result)
            await self._recorder.flush()
            await original(self, leased, slot)

        return send

    replace("consumers.webhooks.dispatcher:Dispatcher._send", make)


def _message_for_each_reading() -> None:
    from infra.ids import new_id

    replace(
        "consumers.webhooks.handlers:_message",
        lambda original: lambda *given: original(*given)._replace(event_id=new_id("evt")),
    )


def _starts_at_the_end() -> None:
    def make(original: Any) -> Any:
        return lambda self: original(self) | {"auto_offset_reset": "latest"}

    replace("infra.kafka.subscriber:Tuning.consumer_arguments", make)


def _lease_for_ever() -> None:
    for name in ("DEAD_AFTER", "RESTARTED_AFTER"):
        replace(f"infra.postgres.webhooks_queue:{name}", lambda _original: timedelta(days=1))


MUTANTS: Final[dict[str, Mutant]] = {
    "offset_before_effect": Mutant(
        "credits", "commits the offset, then books", _offset_before_effect,
        Plan("credits", "credits_in_transaction", 12, conflicts=0.0, duplicates=0.0), "the ledger lacks",
    ),
    "effect_without_inbox": Mutant(
        "credits", "books without remembering the identity", _effect_without_inbox,
        Plan("credits", "credits_before_offset", 3), "the ledger has",
    ),
    "accepted_before_ack": Mutant(
        "api", "answers 202 and sends afterwards", _accepted_before_ack,
        Plan("api", "before_produce", 5, conflicts=0.0), "the ledger lacks",
    ),
    "outbox_outside_transaction": Mutant(
        "credits", "states what was booked in a transaction of its own", _outbox_outside_transaction,
        Plan("credits", "credits_before_outbox", 3), "analytics' charges lacks",
    ),
    "lease_without_fencing": Mutant(
        "deliveries", "writes results of leases that it has lost", _lease_without_fencing,
        Plan("deliveries", stale_lease=True), "attempts were recorded",
    ),
    "swallowed_handler_error": Mutant(
        "credits", "goes on after an error as if all had been booked", _swallowed_handler_error,
        Plan("credits", outage="postgres"), "the ledger lacks",
    ),
    "outage_parks": Mutant(
        "credits", "parks what comes while the database is away", _outage_parks,
        Plan("credits", outage="postgres"), "the ledger lacks",
    ),
    "time_in_identity": Mutant(
        "analytics", "takes the event's time for a part of its identity", _time_in_identity,
        Plan("analytics"), "analytics has",
    ),
    "commits_all_partitions": Mutant(
        "credits", "commits every partition to its end", _commits_all_partitions,
        Plan("credits", "credits_in_transaction", 12, duplicates=0.0), "the ledger lacks",
    ),
    "memory_only_dedup": Mutant(
        "analytics", "remembers identities in memory only", _memory_only_dedup,
        Plan("analytics", "analytics_before_identities", 8, after=160), "analytics has",
    ),
    "body_hash_ignored": Mutant(
        "credits", "takes another body for a duplicate", _body_hash_ignored,
        Plan("credits", conflicts=0.6), "dead letter of",
    ),
    "outbox_deleted_before_publish": Mutant(
        "relay", "removes what it is going to publish", _outbox_deleted_before_publish,
        Plan("relay", "relay_before_ship", 12), "analytics' charges lacks",
    ),
    "parks_without_ack": Mutant(
        "credits", "commits without waiting until dead letters are acknowledged", _parks_without_ack,
        Plan("credits", "credits_before_letter", 6, conflicts=0.6), "dead letter of",
    ),
    "facts_not_awaited": Mutant(
        "analytics", "goes on before ClickHouse has the facts", _facts_not_awaited,
        Plan("analytics", "analytics_before_facts", 3), "analytics lacks",
    ),
    "counts_at_insert": Mutant(
        "migrate", "counts a row when it is inserted, as insert-triggered rollups do", _counts_at_insert,
        Plan("analytics", "analytics_after_facts", 3), "analytics has",
    ),
    "delivered_before_sent": Mutant(
        "deliveries", "writes down the success, then sends", _delivered_before_sent,
        Plan("deliveries", "deliveries_before_send", 3), "the receiver lacks",
    ),
    "message_for_each_reading": Mutant(
        "webhooks", "gives an event that it reads again another webhook id", _message_for_each_reading,
        Plan("webhooks", "webhooks_before_offset", 3), "the receiver has",
    ),
    "starts_at_the_end": Mutant(
        "credits", "begins a topic that it does not know at its end", _starts_at_the_end,
        Plan("credits", late=True), "the ledger lacks",
    ),
    "lease_for_ever": Mutant(
        "deliveries", "never takes over from a dead dispatcher", _lease_for_ever,
        Plan("deliveries", "deliveries_leased", 2), "the receiver lacks",
    ),
}  # fmt: skip
