"""What is written as text for speed is what a JSON writer would have written."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from consumers.credits.facts import Entry, entry_of, in_log_order
from consumers.credits.statements import SOURCE, Teller, detail_of
from contracts import catalog
from contracts.envelope import Envelope
from contracts.rules.credits import Booking, Kind
from contracts.rules.price_seeds import SEED_PRICES
from contracts.types import rfc3339
from tests.consumers.credits.records import ORGANIZATION, usage

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1, max_size=60)
NAME = st.none() | TEXT
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
INSTANT = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@st.composite
def charges(draw: st.DrawFn) -> tuple[Booking, Entry]:
    """A charge with its entry, every name and number drawn."""
    named = {key: draw(NAME) for key in ("provider", "user", "team")}
    unit: dict[str, Any] = {"quantity": Decimal("2.5"), "unit": "minute"} if draw(st.booleans()) else {}
    one = usage(
        draw(TEXT), draw(st.integers(0, 10**6)), service=draw(TEXT), model=draw(TEXT), source=draw(TEXT),
        time=draw(INSTANT), output_tokens=draw(st.integers(0, 10**6)), **named, **unit,
    )  # fmt: skip
    envelope = one.envelope.model_copy(update={"requestid": draw(NAME)})
    [incoming] = in_log_order([one._replace(envelope=envelope)])
    entry = entry_of(incoming, (SEED_PRICES,))
    numbers = [draw(st.integers(-(10**18), 10**18)) for _ in range(4)]
    amount, debt, available, owed = numbers
    return Booking(entry.fact, Kind.CHARGE, amount, (), debt, available, owed, (), None, None), entry


def _detail(entry: Entry) -> dict[str, Any]:
    use: Any = entry.incoming.record.data
    named = {key: getattr(use, key) for key in ("service", "provider", "model", "user", "team")}
    tokens = {key: getattr(use, key) for key in ("input_tokens", "output_tokens", "total_tokens")}
    lines = [line._asdict() for line in entry.rating.lines] if entry.rating else []
    return {key: value for key, value in named.items() if value is not None} | tokens | {"lines": lines}


@given(charges(), TEXT)
def test_a_charge_is_explained_and_told_as_a_json_writer_would(charge: tuple[Booking, Entry], owner: str) -> None:
    booking, entry = charge
    cause, transaction = entry.incoming.record.envelope, booking.fact.id.hex
    detail = detail_of(booking, entry)
    assert detail.encode() == orjson.dumps(_detail(entry))
    request = {"requestid": cause.requestid} if cause.requestid is not None else {}
    wanted = {
        "specversion": "1.0",
        "id": f"evt_{transaction}",
        "source": SOURCE,
        "type": "ledger.charge.booked.v1",
        "organization": owner,
        "time": rfc3339(NOON),
        "acceptedat": rfc3339(NOON),
        **request,
        "causesource": cause.source,
        "causeid": cause.id,
        "data": {
            "transaction_id": f"txn_{transaction}",
            "available_micros": booking.available_after_micros,
            "debt_micros": booking.debt_after_micros,
            **_detail(entry),
            "event_source": cause.source,
            "event_id": cause.id,
            "used_at": rfc3339(cause.time),
            "amount_micros": booking.amount_micros,
            "from_debt_micros": booking.debt_micros,
            "price_version": 1,
        },
    }
    told = Teller(owner, NOON, 0).tell(booking, entry, detail)
    assert told[0] == orjson.dumps(wanted)


def test_what_is_told_of_a_charge_is_read_back_through_the_catalogue() -> None:
    [incoming] = in_log_order([usage('u"\\\n', service="käse\t", user="\x7f\x01")])
    entry = entry_of(incoming, (SEED_PRICES,))
    booking = Booking(entry.fact, Kind.CHARGE, 10, (), 0, 5, 0, (), None, None)
    envelope, data = catalog.decode(Teller(ORGANIZATION, NOON, 0).tell(booking, entry, detail_of(booking, entry))[0])
    assert isinstance(envelope, Envelope)
    assert (envelope.causeid, data.service, data.user) == ('u"\\\n', "käse\t", "\x7f\x01")  # type: ignore[attr-defined]
