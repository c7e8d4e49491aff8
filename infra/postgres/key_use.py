"""When keys were last used, and from where for the first time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, TIMESTAMP

from infra.postgres.database import Tx

MAX_ADDRESSES: Final = 1_000
"""Of a key; from further ones it is used without being told as new."""


class Use(NamedTuple):
    """A use of a key. `place` is the address, of IPv6 its /64."""

    key_id: str
    organization_id: str
    address: str
    place: str
    at: datetime


_VALUES: Final = (
    "unnest(:keys, :organizations, :addresses, :places, :times) AS u(key_id, organization_id, address, place, at)"
)
_TEXTS: Final = ARRAY(TEXT)
_BOUND: Final[tuple[BindParameter[Any], ...]] = (
    *(bindparam(name, type_=_TEXTS) for name in ("keys", "organizations", "addresses", "places")),
    bindparam("times", type_=ARRAY(TIMESTAMP(timezone=True))),
)
_NOTE: Final = text(f"""
    UPDATE api_keys k SET last_used_at = newest.at, last_used_from = newest.address
    FROM (SELECT DISTINCT ON (key_id) key_id, address, at FROM {_VALUES} ORDER BY key_id, at DESC) AS newest
    WHERE k.id = newest.key_id AND (k.last_used_at IS NULL OR k.last_used_at < newest.at)
""").bindparams(*_BOUND)  # noqa: S608 - constants
_NEW: Final = text(f"""
    INSERT INTO key_addresses (key_id, organization_id, place, first_used_at)
    SELECT key_id, organization_id, place, min(at) FROM {_VALUES}
    WHERE (SELECT count(*) FROM key_addresses known WHERE known.key_id = u.key_id) < {MAX_ADDRESSES}
    GROUP BY key_id, organization_id, place ORDER BY key_id, place
    ON CONFLICT DO NOTHING RETURNING key_id, place
""").bindparams(*_BOUND)  # noqa: S608 - constants


async def note_used(tx: Tx, uses: Sequence[Use]) -> None:
    """Keeps the newest use of each key; an older one than is known changes nothing."""
    await tx.execute(_NOTE, _arrays(uses))


async def note_places(tx: Tx, uses: Sequence[Use]) -> set[tuple[str, str]]:
    """(key, place) of those that were new; of two processes at once one is told."""
    return {(row.key_id, row.place) for row in await tx.execute(_NEW, _arrays(uses))}


def _arrays(uses: Sequence[Use]) -> dict[str, list[str] | list[datetime]]:
    return {
        "keys": [use.key_id for use in uses],
        "organizations": [use.organization_id for use in uses],
        "addresses": [use.address for use in uses],
        "places": [use.place for use in uses],
        "times": [use.at for use in uses],
    }
