"""What every event's data class shares."""

from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict

from contracts.topics import Topic


class EventData(BaseModel):
    """The `data` of one event type and version. Frozen: a change of meaning is a new version.

    `TYPE` is the CloudEvents type, `TOPIC` where it travels, `PERMISSION` what its sender needs
    (None: only the hub itself states it), `EXAMPLE` a valid `data`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[Topic]
    PERMISSION: ClassVar[str | None] = None
    EXAMPLE: ClassVar[dict[str, Any]]


SYSTEM_SOURCE: Final = "/hub"
"""The `source` of facts that the hub states itself; refused from outside."""
