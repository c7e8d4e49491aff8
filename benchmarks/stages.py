"""`python -m benchmarks.stages`: microseconds an event of each pure step, the least of several repetitions.

No engines and no profiler: exact where cProfile is not, and hardly disturbed by what else the machine does.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic_core import from_json

from api.core.principal import Principal
from api.events import ingress
from api.events.formats import read_events
from api.events.judge import Judge
from benchmarks.events import records, usage
from benchmarks.report import machine
from consumers.analytics import plain, rows
from consumers.analytics.handlers import _first_of_each
from consumers.analytics.reading import Reader
from consumers.analytics.seen import Seen
from consumers.batch import Record, decoded
from consumers.credits.facts import entry_of, in_log_order, sort_out
from consumers.credits.handlers import _inbox_row
from consumers.credits.pages import Page, _chain_row
from consumers.credits.statements import Teller, detail_of
from contracts import catalog, json_text
from contracts.envelope import Envelope, body_hash
from contracts.rules.chain import first_hash, next_hash
from contracts.rules.credits import State, book
from contracts.rules.grants import Grant
from contracts.rules.price_seeds import SEED_PRICES
from contracts.rules.pricing import rate
from contracts.topics import USAGE
from infra.clickhouse import facts
from infra.ids import new_uuid
from infra.kafka.log import LogRecord
from infra.postgres.ledger import Head

EVENTS: Final = 1_000
REPETITIONS: Final = 9
RESULT: Final = Path(__file__).with_name("profiles") / "stages.md"
ORGANIZATION: Final = "org_bench"
Step = tuple[str, Callable[[], Any]]


def least_us(step: Callable[[], Any]) -> float:
    """Microseconds of CPU an event, the least of several repetitions."""
    best = float("inf")
    for _ in range(REPETITIONS):
        began = time.thread_time()
        step()
        best = min(best, time.thread_time() - began)
    return best / EVENTS * 1e6


def log_records() -> list[LogRecord]:
    """A batch as Kafka gives it."""
    values = records(usage(EVENTS, "s"), [ORGANIZATION])[ORGANIZATION]
    header = (("content-type", b"application/cloudevents+json"),)
    return [LogRecord(USAGE, 0, at, ORGANIZATION.encode(), value, header, 0) for at, value in enumerate(values)]


def decoding(raw: list[LogRecord]) -> Iterator[Step]:
    """Decode, as every consumer does it."""
    values = [record.value or b"" for record in raw]
    parsed = [json_text.parse(value) for value in values]
    envelopes = [Envelope.model_validate(value) for value in parsed]
    yield "**decode: consumers/batch.py decoded**", lambda: decoded(raw)
    yield "- contracts/json_text.py parse", lambda: [json_text.parse(value) for value in values]
    yield "  - pydantic_core from_json alone", lambda: [from_json(value, allow_inf_nan=False) for value in values]
    yield "  - orjson.loads, to compare", lambda: [orjson.loads(value) for value in values]
    yield "  - contracts/json_text.py _count_keys", lambda: [json_text._count_keys(value, 1) for value in parsed]
    yield "- Envelope.model_validate", lambda: [Envelope.model_validate(value) for value in parsed]
    yield "- contracts/catalog.py check", lambda: [catalog.check(one.type, one.data) for one in envelopes]


def booking(batch: list[Record]) -> Iterator[Step]:
    """What the ledger works out between reading and writing."""
    now = datetime.now(UTC)
    books = (SEED_PRICES,)
    incoming = in_log_order(batch)
    entries = {entry.fact.id: entry for entry in (entry_of(one, books) for one in incoming)}
    booked_facts = [entry.fact for entry in entries.values()]
    grant = Grant(UUID(int=1), 1, now.replace(year=2020), None, now.replace(year=2020), 10**15)
    state = State((grant,), {"wallet": 10**15, "promo": -(10**15)})
    head = Head(*_head_fields())
    booked = book(state, booked_facts)
    details = [detail_of(booking, entries[booking.fact.id]) for booking in booked.bookings]
    chain = [
        _chain_row(booking, entries[booking.fact.id], detail, seq, now)
        for seq, (booking, detail) in enumerate(zip(booked.bookings, details, strict=True))
    ]
    before, teller = first_hash(ORGANIZATION), Teller(ORGANIZATION, now, 0)
    told = list(zip(booked.bookings, details, strict=True))
    yield "**consumers/credits/facts.py in_log_order**", lambda: in_log_order(batch)
    yield (
        "- contracts/envelope.py body_hash",
        lambda: [body_hash(one.envelope.type, one.envelope.subject, one.envelope.data) for one in batch],
    )
    yield "consumers/credits/facts.py sort_out", lambda: sort_out(incoming, {})
    yield "**consumers/credits/facts.py entry_of**", lambda: [entry_of(one, books) for one in incoming]
    yield "- contracts/rules/pricing.py rate", lambda: [rate(one.data, books[0], ORGANIZATION) for one in batch]
    yield "- infra/ids.py new_uuid", lambda: [new_uuid() for _ in batch]
    yield "**contracts/rules/credits.py book**", lambda: book(state, booked_facts)
    yield "**consumers/credits/pages.py Page.add**", lambda: Page(now).add(ORGANIZATION, head, state, booked, entries)
    yield (
        "- consumers/credits/statements.py detail_of",
        lambda: [detail_of(booking, entries[booking.fact.id]) for booking in booked.bookings],
    )
    yield "- contracts/rules/chain.py next_hash", lambda: [next_hash(before, row) for row in chain]
    yield (
        "- consumers/credits/statements.py Teller.tell",
        lambda: [list(teller.tell(booking, entries[booking.fact.id], detail)) for booking, detail in told],
    )
    yield "consumers/credits/handlers.py _inbox_row", lambda: [_inbox_row(entry) for entry in entries.values()]


def _head_fields() -> list[Any]:
    known = {"seq": 0, "hash": None, "booked_at": None, "low_threshold_micros": 0, "level": "ok"}
    return [known.get(name) for name in Head._fields]


def columns(raw: list[LogRecord]) -> Iterator[Step]:
    """What analytics works out between reading and writing."""
    values, reader = [record.value or b"" for record in raw], Reader()
    found, parsed = reader.read(raw), plain.read(values)
    seen, identities = Seen(1 << 20), found.identities
    good, _ = decoded(raw)
    usage = rows.usage_of_records(good)
    yield "**consumers/analytics/reading.py Reader.read**", lambda: reader.read(raw)
    yield "- consumers/analytics/plain.py read", lambda: plain.read(values)
    yield "- consumers/analytics/rows.py usage_of_plain", lambda: rows.usage_of_plain(parsed, raw)
    yield "- consumers/analytics/rows.py identities", lambda: rows.identities(usage)
    yield "- infra/clickhouse/facts.py stored", lambda: facts.stored(usage)
    yield "the slow way: decoded, rows.usage_of_records", lambda: rows.usage_of_records(decoded(raw)[0])
    yield "- consumers/analytics/rows.py usage_of_records", lambda: rows.usage_of_records(good)
    yield "consumers/analytics/handlers.py _first_of_each", lambda: _first_of_each(identities)
    yield "consumers/analytics/rows.py identity_table", lambda: rows.identity_table(identities, found.usage)
    yield "consumers/analytics/seen.py suspects", lambda: seen.suspects(identities)
    yield "consumers/analytics/seen.py add", lambda: seen.add(identities)


def taking() -> Iterator[Step]:
    """What the ingress does with a request of 1,000 events."""
    now, events = datetime.now(UTC), usage(EVENTS, "i")
    raw = orjson.dumps(events)
    headers = {b"content-type": b"application/cloudevents-batch+json"}
    who = Principal("key", ORGANIZATION, frozenset(("events:*",)))
    sent = read_events(headers, raw, EVENTS)

    def judged() -> ingress.Take:
        judge = Judge(who, now, "req_1", data_at="/data", organizations=frozenset())
        return ingress.Take(sent, judge.accepted_at, [judge.judge(item) for item in sent.items])  # type: ignore[arg-type]

    take = judged()
    ingress._sort(take)
    ingress._note(take, USAGE, list(range(EVENTS)), _Placed())  # type: ignore[arg-type]
    yield "**api/events/formats.py read_events**", lambda: read_events(headers, raw, EVENTS)
    yield "**api/events/judge.py Judge.judge**", judged
    yield "api/events/ingress.py _sort", lambda: ingress._sort(judged())
    yield "api/events/ingress.py results + orjson.dumps", lambda: orjson.dumps(ingress.results(take))


class _Placed:
    partition = 0
    offsets = range(EVENTS)


def main() -> None:
    """Measures, prints and writes profiles/stages.md."""
    raw = log_records()
    batch, _ = decoded(raw)
    lines = ["# Pure steps", "", f"Microseconds of CPU an event, batches of {EVENTS:,}. {machine()}.", ""]
    for title, steps in (
        ("Ingress", taking()), ("Decoding", decoding(raw)), ("Ledger", booking(batch)), ("Analytics", columns(raw)),
    ):  # fmt: skip
        lines += [f"## {title}", "", "| step | us/event |", "|---|---|"]
        lines += [f"| {name} | {least_us(step):.2f} |" for name, step in steps] + [""]
    print("\n".join(lines))
    RESULT.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
