"""The one place that makes ids: prefixed and time-ordered (UUID version 7, RFC 9562)."""

from uuid import UUID

import uuid_utils
from uuid_utils import compat


def new_uuid() -> UUID:
    """A time-ordered UUID."""
    return compat.uuid7()  # noqa: TID251 - this is its one place


def new_id(prefix: str) -> str:
    """An id such as `evt_019ab0c2...`: the prefix, an underscore, 32 hexadecimal digits."""
    return f"{prefix}_{uuid_utils.uuid7().hex}"  # noqa: TID251 - this is its one place
