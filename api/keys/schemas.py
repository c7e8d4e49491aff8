"""JSON of API keys."""

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from contracts.rules.access import is_scope
from contracts.types import Instant, LongText, Text

MAX_OVERLAP_HOURS = 168


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise PydanticCustomError(
            "network", "{network} is not a network like 192.0.2.0/24 or 2001:db8::/32", {"network": text}
        ) from None


Networks = Annotated[
    list[Annotated[Text, AfterValidator(_network)]],
    Field(max_length=50, description="CIDRs that the key may come from; empty: any", examples=[["192.0.2.0/24"]]),
]


class KeyIn(BaseModel):
    """An API key to make."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "production", "scopes": ["events:write"]}]}
    )

    name: Text
    scopes: list[Text] = Field(min_length=1, max_length=50, description="Permissions, `family:*` or `*`")
    kind: Literal["key", "service"] = Field(
        default="key", description="`service` may speak for members (X-User-ID): system:services"
    )
    organization_id: Text | None = Field(default=None, description="Another organization: system:any_organization")
    expires_at: Instant | None = None
    allowed_networks: Networks = []

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: list[str]) -> list[str]:
        for scope in scopes:
            if not is_scope(scope):
                raise PydanticCustomError("scope", "{scope} is not a permission", {"scope": scope})
        return list(dict.fromkeys(scopes))


class KeyChange(BaseModel):
    """What to change of a key; what is not sent stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "staging"}]})

    name: Text | None = None
    expires_at: Instant | None = Field(default=None, description="null: never")
    allowed_networks: Networks | None = None


class KeyOut(BaseModel):
    """One API key; `key` is shown once, when it is made or rotated."""

    id: str = Field(examples=["key_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    organization_id: str = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    name: str = Field(examples=["production"])
    kind: Literal["key", "service"] = "key"
    hint: str = Field(examples=["aihub_live_Fsav...4371"])
    scopes: list[str] = Field(examples=[["events:write"]])
    allowed_networks: list[str] = Field(examples=[["192.0.2.0/24"]])
    created_at: datetime
    created_by: str | None = Field(examples=["user_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_at: datetime | None
    previous_until: datetime | None = Field(description="Until then the secret before the rotation works too")
    key: str | None = Field(default=None, examples=["aihub_live_..."], description="Shown once")


class KeySeen(KeyOut):
    """One API key and when it was last used, to a minute."""

    last_used_at: datetime | None
    last_used_from: str | None = Field(examples=["192.0.2.7"])


class KeyRotationIn(BaseModel):
    """How long the secret before goes on working."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_hours": 24}]})

    overlap_hours: int = Field(default=24, ge=0, le=MAX_OVERLAP_HOURS, description="0: the old secret is refused now")


class KeyRevocationIn(BaseModel):
    """Why a key is revoked."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "leaked"}]})

    reason: LongText | None = None
