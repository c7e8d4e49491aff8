"""The bugs themselves: each is put into a process before its role starts."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

from tests.faults.points import replace


def offset_before_effect() -> None:
    from consumers.lag import reached, spans

    def make(original: Any) -> Any:
        async def work(self: Any, records: Any, *rest: Any) -> Any:
            await self._member.commit(reached(spans(records)))
            return await original(self, records, *rest)

        return work

    replace("consumers.runtime:ConsumerApp._work", make)


def effect_without_inbox() -> None:
    async def forgetful(_tx: Any, _rows: Any) -> None:
        return None

    replace("infra.postgres.ledger_write:add_inbox", lambda _original: forgetful)


def accepted_before_ack() -> None:
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


def outbox_outside_transaction() -> None:
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


def lease_without_fencing() -> None:
    guard = " AND d.fencing = r.fencing AND d.lease_owner = r.owner AND d.state = 'pending'"
    replace("infra.postgres.webhooks_results:_RECORD", lambda sql: _without(sql, guard))


def _without(text: str, part: str, instead: str = "") -> str:
    assert part in text, f"the product has no {part!r} any more"
    return text.replace(part, instead)


def swallowed_handler_error() -> None:
    def make(original: Any) -> Any:
        async def handled(self: Any, batch: Any) -> Any:
            try:
                return await original(self, batch)
            except Exception:  # noqa: BLE001 - the bug
                return []

        return handled

    replace("consumers.effects:Effects._handled", make)


def outage_parks() -> None:
    from contracts.errors import DatabaseUnavailable, Fate

    DatabaseUnavailable.fate = Fate.PARK


def time_in_identity() -> None:
    def make(original: Any) -> Any:
        def identities(usage: Any) -> Any:
            times = usage.column("event_time").cast("string").to_pylist()
            return [
                hashlib.blake2b(one + at.encode(), digest_size=16).digest()
                for one, at in zip(original(usage), times, strict=True)
            ]

        return identities

    replace("consumers.analytics.rows:identities", make)


def commits_all_partitions() -> None:
    def make(original: Any) -> Any:
        async def commit(self: Any, _places: Any) -> Any:
            await asyncio.sleep(0.5)
            return await original(self, await self.end_offsets())

        return commit

    replace("infra.kafka.subscriber:GroupMember.commit", make)


def memory_only_dedup() -> None:
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


def body_hash_ignored() -> None:
    replace(
        "consumers.credits.handlers:sort_out",
        lambda original: lambda incoming, known: (original(incoming, known)[0], []),
    )


def outbox_deleted_before_publish() -> None:
    from infra.postgres import outbox

    def make(original: Any) -> Any:
        async def oldest(tx: Any, **limits: Any) -> Any:
            found = await original(tx, **limits)
            if found:
                await outbox.remove(tx, [row.id for row in found])
            return found

        return oldest

    replace("infra.postgres.outbox:oldest", make)


def parks_without_ack() -> None:
    tasks = set()

    def make(original: Any) -> Any:
        async def park(self: Any, parked: Any) -> None:
            async def later() -> None:
                await asyncio.sleep(0.5)
                await original(self, parked)

            tasks.add(asyncio.create_task(later()))

        return park

    replace("consumers.effects:Effects._park", make)


def facts_not_awaited() -> None:
    tasks = set()

    def make(original: Any) -> Any:
        async def insert_usage(*args: Any) -> None:
            async def later() -> None:
                await asyncio.sleep(3)  # the bug: longer than the role takes from here to its kill
                await original(*args)

            tasks.add(asyncio.create_task(later()))

        return insert_usage

    replace("infra.clickhouse.facts:insert_usage", make)


def counts_at_insert() -> None:
    def make(original: Any) -> Any:
        async def command(self: Any, sql: str, *rest: Any, **named: Any) -> None:
            plain = sql.replace("ReplacingMergeTree(rank)", "MergeTree").replace("_facts FINAL", "_facts")
            await original(self, plain, *rest, **named)

        return command

    replace("infra.clickhouse.client:ClickHouse.command", make)


def delivered_before_sent() -> None:
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


def message_for_each_reading() -> None:
    from infra.ids import new_id

    replace(
        "consumers.webhooks.handlers:_message",
        lambda original: lambda *given: original(*given)._replace(event_id=new_id("evt")),
    )


def starts_at_the_end() -> None:
    def make(original: Any) -> Any:
        return lambda self: original(self) | {"auto_offset_reset": "latest"}

    replace("infra.kafka.subscriber:Tuning.consumer_arguments", make)


def lease_for_ever() -> None:
    for name in ("DEAD_AFTER", "RESTARTED_AFTER"):
        replace(f"infra.postgres.webhooks_queue:{name}", lambda _original: timedelta(days=1))
