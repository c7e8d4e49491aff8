"""What a PATCH asks for: only what was sent."""

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel

from contracts.errors import Invalid, Problem


def changes_of(wanted: BaseModel, *, nullable: Collection[str] = ()) -> dict[str, Any]:
    """The fields that were sent, with their values. Raises: Invalid for a null where none may stand."""
    changes = wanted.model_dump(exclude_unset=True)
    nulls = [name for name, value in changes.items() if value is None and name not in nullable]
    if nulls:
        problems = tuple(Problem(f"/{name}", "null", "may be left out, but not null") for name in nulls)
        raise Invalid("Leave out what is not to be changed; null is not a value here.", problems=problems)
    return changes
