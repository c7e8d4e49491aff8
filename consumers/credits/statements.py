"""What the ledger states about what it booked: events as they stand on Kafka, and a transaction's `detail`.

Written as plain JSON for speed (a pydantic model an event costs as much as all of the booking); a test reads each
back through the catalogue.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import orjson

from consumers.credits.facts import Entry
from contracts.events import ledger as events
from contracts.events.base import SYSTEM_SOURCE
from contracts.events.credits import CreditsFact
from contracts.events.usage import UsageRecordedV1
from contracts.rules.credits import Activation, Addition, Booking, Deduction, Expiry
from contracts.rules.crossings import Crossing, recovery_micros

SOURCE: Final = SYSTEM_SOURCE + "/ledger"

_CROSSINGS: Final = {
    Crossing.LOW: events.BalanceLowV1,
    Crossing.DEPLETED: events.BalanceDepletedV1,
    Crossing.RECOVERED: events.BalanceRecoveredV1,
}


def detail_of(booking: Booking, entry: Entry | None) -> dict[str, Any]:
    """What explains the transaction on a statement: for a charge the use and its rating line by line."""
    if entry is not None and isinstance(entry.incoming.record.data, UsageRecordedV1):
        return _use(entry.incoming.record.data, entry)
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


def _use(usage: UsageRecordedV1, entry: Entry) -> dict[str, Any]:
    detail: dict[str, Any] = {"service": usage.service}
    for key in ("provider", "model", "user", "team"):
        value = getattr(usage, key)
        if value is not None:
            detail[key] = value
    detail["input_tokens"] = usage.input_tokens
    detail["output_tokens"] = usage.output_tokens
    detail["total_tokens"] = usage.total_tokens
    detail["lines"] = [
        {"item": item, "quantity": quantity, "price_micros": price, "per": per, "micros": micros}
        for item, quantity, price, per, micros in (entry.rating.lines if entry.rating else ())
    ]
    return detail


def _at(instant: datetime | None) -> str | None:
    """RFC 3339 with `Z`, six decimal places."""
    return None if instant is None else instant.isoformat(timespec="microseconds")[:-6] + "Z"


class Teller:
    """States the bookings of one organization at one instant."""

    def __init__(self, organization: str, now: datetime, threshold_micros: int) -> None:
        self.organization = organization
        self.now = _at(now)
        self.threshold_micros = threshold_micros
        self._unpriced: set[tuple[str, str | None]] = set()

    def tell(self, booking: Booking, entry: Entry | None, detail: dict[str, Any]) -> Iterator[bytes]:
        """The events of one booking: what was booked, an unpriced model (once a batch), thresholds crossed."""
        hexadecimal = booking.fact.id.hex
        after = {
            "transaction_id": f"txn_{hexadecimal}",
            "available_micros": booking.available_after_micros,
            "debt_micros": booking.debt_after_micros,
        }
        told = _booked(booking, entry, detail)
        if told is not None:
            yield self._event(told[0], f"evt_{hexadecimal}", after | told[1], entry)
        if entry is not None and entry.rating is not None and entry.rating.unpriced:
            model = {key: detail[key] for key in ("service", "model") if key in detail}
            key = (detail["service"], detail.get("model"))
            if key not in self._unpriced:
                self._unpriced.add(key)
                data = after | model | {"price_version": entry.rating.price_version}
                yield self._event(events.ModelUnpricedV1.TYPE, f"evt_{hexadecimal}_unpriced", data, entry)
        for crossing in booking.crossings:
            data = after | {"threshold_micros": self._threshold(crossing)}
            yield self._event(_CROSSINGS[crossing].TYPE, f"evt_{hexadecimal}_{crossing}", data, entry)

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


def _booked(booking: Booking, entry: Entry | None, detail: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Type and own data of what a booking is told as; None for an activation, which only crossings tell of."""
    fact = booking.fact
    if entry is not None and entry.rating is not None:
        return events.ChargeBookedV1.TYPE, {
            **detail,
            "event_source": entry.incoming.record.envelope.source,
            "event_id": entry.incoming.record.envelope.id,
            "used_at": _at(entry.incoming.record.envelope.time),
            "amount_micros": booking.amount_micros,
            "from_debt_micros": booking.debt_micros,
            "price_version": entry.rating.price_version,
        }
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
