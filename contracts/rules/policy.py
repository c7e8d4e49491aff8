"""What an organization demands of its members' log-ins. Stored as JSON with only what was set."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

MIN_PASSWORD: Final = 12


class Policy(BaseModel):
    """An organization's rules; what is not set is the hub's default."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"mfa_required": True, "max_sessions": 5}]}
    )

    mfa_required: Annotated[bool, Field(strict=True, description="Members need a second factor")] = False
    max_sessions: Annotated[
        int | None, Field(strict=True, ge=1, le=100, description="Sessions of a member at once; the oldest ends")
    ] = None
    password_min: Annotated[
        int, Field(strict=True, ge=MIN_PASSWORD, le=128, description="Characters of a password, at least")
    ] = MIN_PASSWORD
    session_idle_minutes: Annotated[
        int | None, Field(strict=True, ge=5, le=10_080, description="A session unused for so long ends")
    ] = None
    session_max_hours: Annotated[
        int | None, Field(strict=True, ge=1, le=720, description="A session ends so long after its log-in")
    ] = None
