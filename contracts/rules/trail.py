"""The audit trail's hash chain: a changed, removed or inserted row shows."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from contracts import json_text
from contracts.types import rfc3339

FIRST: Final = bytes(32)
"""What stands before an organization's first row."""


class Entry(NamedTuple):
    """What happened, as the trail keeps it; `actor` did it, from `address`."""

    organization: str
    event_source: str
    event_id: str
    event_type: str
    body_hash: bytes
    subject: str | None
    actor: str | None
    address: str | None
    occurred_at: datetime
    accepted_at: datetime
    request_id: str | None
    data: dict[str, Any]


class Link(NamedTuple):
    """An entry in its place: the `seq`-th of its organization, 1 for the first."""

    seq: int
    entry: Entry
    hash: bytes


def link(previous: bytes, seq: int, entry: Entry) -> Link:
    """The entry as the next link: SHA-256 over the hash before it and every field as one JSON array."""
    data = {key: entry.data[key] for key in sorted(entry.data)}
    instants = [rfc3339(entry.occurred_at), rfc3339(entry.accepted_at)]
    fields = [seq, *entry[:4], entry.body_hash.hex(), *entry[5:8], *instants, entry.request_id, data]
    return Link(seq, entry, hashlib.sha256(previous + json_text.dump(fields)).digest())


def first_break(links: Iterable[Link], previous: bytes = FIRST, seq: int = 1) -> int | None:
    """The number of the first link that does not follow from the one before; None when all do."""
    for found in links:
        if found.seq != seq or link(previous, seq, found.entry).hash != found.hash:
            return seq
        previous, seq = found.hash, seq + 1
    return None
