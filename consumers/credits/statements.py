"""What the ledger states about what it booked: events as they stand on Kafka, and a transaction's `detail`.

Written as plain JSON for speed (a pydantic model an event costs as much as all of the booking), what is told of every
use even as text (3 instead of 18 us); tests read each back through the catalogue and compare both ways of writing.
"""

from datetime import datetime
from json.encoder import encode_basestring as quoted
from operator import attrgetter
from typing import Any, Final

import orjson

from consumers.credits.facts import Entry
from contracts.events import ledger as events
from contracts.events.base import SYSTEM_SOURCE
from contracts.events.credits import CreditsFact
from contracts.events.usage import UsageRecordedV1
from contracts.rules.credits import Activation, Addition, Booking, Deduction, Expiry
from contracts.rules.crossings import Crossing, recovery_micros
from contracts.rules.pricing import Rating
from contracts.types import rfc3339

SOURCE: Final = SYSTEM_SOURCE + "/ledger"
_NAMES: Final = ("provider", "model", "user", "team")
_names_of: Final = attrgetter(*_NAMES)

_CROSSINGS: Final = {
    Crossing.LOW: events.BalanceLowV1,
    Crossing.DEPLETED: events.BalanceDepletedV1,
    Crossing.RECOVERED: events.BalanceRecoveredV1,
}


def detail_of(booking: Booking, entry: Entry | None) -> str:
    """What explains the transaction on a statement, as JSON: for a charge the use and its rating line by line."""
    if entry is not None and isinstance(entry.incoming.record.data, UsageRecordedV1):
        return _use(entry.incoming.record.data, entry.rating)
    return orjson.dumps(_terms(booking, entry)).decode()


def _use(usage: UsageRecordedV1, rating: Rating | None) -> str:
    named = "".join(
        [f',"{key}":{quoted(value)}' for key, value in zip(_NAMES, _names_of(usage), strict=True) if value is not None]
    )
    # What stands here unquoted are integers, and strings that need no escape: names of items, decimal numbers.
    lines = ",".join(
        [
            f'{{"item":"{item}","quantity":"{quantity}","price_micros":{price},"per":{per},"micros":{micros}}}'
            for item, quantity, price, per, micros in (rating.lines if rating else ())
        ]
    )
    return (
        f'{{"service":{quoted(usage.service)}{named},"input_tokens":{usage.input_tokens},'
        f'"output_tokens":{usage.output_tokens},"total_tokens":{usage.total_tokens},"lines":[{lines}]}}'
    )


def _terms(booking: Booking, entry: Entry | None) -> dict[str, Any]:
    """The detail of whatever is no charge."""
    detail: dict[str, Any] = {}
    if entry is not None and isinstance(entry.incoming.record.data, CreditsFact):
        detail["reason"] = entry.incoming.record.data.reason
    fact = booking.fact
    if entry is not None and entry.terms is not None and isinstance(fact, Addition):
        detail |= {"grant_id": f"grant_{fact.id.hex}", "source": entry.terms.source, "expires_at": _at(fact.expires_at)}
        if fact.refunds is not None:
            detail |= {"refunds_source": fact.refunds[0], "refunds_id": fact.refunds[1]}
    if isinstance(fact, Expiry | Activation):
        detail["grant_id"] = f"grant_{fact.grant_id.hex}"
    return {key: value for key, value in detail.items() if value is not None}


def _at(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339(instant)


class Teller:
    """States the bookings of one organization at one instant."""

    def __init__(self, organization: str, now: datetime, threshold_micros: int) -> None:
        self.organization = organization
        self.now = rfc3339(now)
        self.threshold_micros = threshold_micros
        self._unpriced: set[tuple[str, str | None]] = set()
        self._charge_head = (
            f'","source":"{SOURCE}","type":"{events.ChargeBookedV1.TYPE}","organization":{quoted(organization)},'
            f'"time":"{self.now}","acceptedat":"{self.now}",'
        )

    def tell(self, booking: Booking, entry: Entry | None, detail: str) -> list[bytes]:
        """The events of one booking: what was booked, an unpriced model (once a batch), thresholds crossed.

        `detail` is what `detail_of` says of it.
        """
        told: list[bytes] = []
        if entry is not None and entry.rating is not None:
            told.append(self._charge(booking, entry, entry.rating, detail))
            if not entry.rating.unpriced and not booking.crossings:
                return told
        hexadecimal = booking.fact.id.hex
        after = {
            "transaction_id": f"txn_{hexadecimal}",
            "available_micros": booking.available_after_micros,
            "debt_micros": booking.debt_after_micros,
        }
        if entry is not None and isinstance(use := entry.incoming.record.data, UsageRecordedV1):
            told += self._unpriced_model(entry, use, after)
        elif (booked := _booked(booking, entry)) is not None:
            told.append(self._event(booked[0], f"evt_{hexadecimal}", after | booked[1], entry))
        for crossing in booking.crossings:
            data = after | {"threshold_micros": self._threshold(crossing)}
            told.append(self._event(_CROSSINGS[crossing].TYPE, f"evt_{hexadecimal}_{crossing}", data, entry))
        return told

    def _charge(self, booking: Booking, entry: Entry, rating: Rating, detail: str) -> bytes:
        cause, hexadecimal = entry.incoming.record.envelope, booking.fact.id.hex
        request = f'"requestid":{quoted(cause.requestid)},' if cause.requestid is not None else ""
        source, event_id = quoted(cause.source), quoted(cause.id)
        return (
            f'{{"specversion":"1.0","id":"evt_{hexadecimal}{self._charge_head}{request}"causesource":{source},'
            f'"causeid":{event_id},"data":{{"transaction_id":"txn_{hexadecimal}",'
            f'"available_micros":{booking.available_after_micros},"debt_micros":{booking.debt_after_micros},'
            f'{detail[1:-1]},"event_source":{source},"event_id":{event_id},"used_at":"{rfc3339(cause.time)}",'
            f'"amount_micros":{booking.amount_micros},"from_debt_micros":{booking.debt_micros},'
            f'"price_version":{rating.price_version}}}}}'
        ).encode()

    def _unpriced_model(self, entry: Entry, use: UsageRecordedV1, after: dict[str, Any]) -> list[bytes]:
        key = (use.service, use.model)
        if entry.rating is None or not entry.rating.unpriced or key in self._unpriced:
            return []
        self._unpriced.add(key)
        model = {"service": use.service} | ({"model": use.model} if use.model is not None else {})
        event_id = f"evt_{after['transaction_id'].removeprefix('txn_')}_unpriced"
        data = after | model | {"price_version": entry.rating.price_version}
        return [self._event(events.ModelUnpricedV1.TYPE, event_id, data, entry)]

    def _threshold(self, crossing: Crossing) -> int:
        if crossing is Crossing.DEPLETED:
            return 0
        return recovery_micros(self.threshold_micros) if crossing is Crossing.RECOVERED else self.threshold_micros

    def _event(self, event_type: str, event_id: str, data: dict[str, Any], entry: Entry | None) -> bytes:
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": SOURCE,
            "type": event_type,
            "organization": self.organization,
            "time": self.now,
            "acceptedat": self.now,
        }
        if entry is not None:
            cause = entry.incoming.record.envelope
            if cause.requestid is not None:
                event["requestid"] = cause.requestid
            event["causesource"] = cause.source
            event["causeid"] = cause.id
        return orjson.dumps({**event, "data": data})


def _booked(booking: Booking, entry: Entry | None) -> tuple[str, dict[str, Any]] | None:
    """Type and own data of what a booking is told as; None for an activation, which only crossings tell of."""
    fact, detail = booking.fact, _terms(booking, entry)
    if isinstance(fact, Addition):
        told = ("grant_id", "source", "expires_at", "reason")
        kept: dict[str, Any] = {key: detail[key] for key in told if key in detail}
        moved = {"amount_micros": booking.amount_micros, "repaid_debt_micros": booking.debt_micros}
        return events.GrantBookedV1.TYPE, kept | moved
    if isinstance(fact, Deduction):
        return events.AdjustmentBookedV1.TYPE, {"amount_micros": booking.amount_micros, **detail}
    if isinstance(fact, Expiry):
        data = {**detail, "amount_micros": booking.amount_micros, "expired_at": _at(fact.accepted_at)}
        return events.ExpiryBookedV1.TYPE, data
    return None
