"""JSON of log-ins with other providers, and of verified codes."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.core.login_schemas import OrganizationBrief, PersonOut

Secret = Annotated[str, Field(strict=True, min_length=1, max_length=128)]
Conversation = Annotated[str, Field(strict=True, max_length=128, pattern=r"^[!-~]+$")]
"""Whatever names a conversation to who began it: visible ASCII."""


class ProviderOut(BaseModel):
    """Somebody people may log in with; send the browser to `start`."""

    name: str = Field(examples=["google"])
    label: str = Field(examples=["Google"])
    start: str = Field(examples=["https://hub.example.com/v1/auth/oauth/google/start"])


class CallbackOut(BaseModel):
    """What came of it: a `login_code` for POST /v1/auth/oauth/tokens, or the provider that is linked now."""

    login_code: str | None = Field(default=None, examples=["Zk2v1mTT..."])
    expires_in: int | None = Field(default=None, examples=[60])
    linked: str | None = Field(default=None, examples=[None])


class LoginCodeIn(BaseModel):
    """A log-in code, from the same browser that began."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"login_code": "Zk2v1mTT"}]})

    login_code: Secret


class LinkIn(BaseModel):
    """Where the browser goes afterwards: a path of this hub."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"return_to": "/console/profile"}]})

    return_to: Annotated[str, Field(strict=True, max_length=1024)] | None = None


class LinkOut(BaseModel):
    """Send this browser there; it comes back linked."""

    authorization_url: str = Field(examples=["https://accounts.google.com/o/oauth2/v2/auth?client_id=..."])


class IdentityOut(BaseModel):
    """An account that you can log in with."""

    provider: str = Field(examples=["google"])
    email: str | None = Field(examples=["ada@example.com"])
    linked_at: datetime


class VerifiedCodeIn(BaseModel):
    """The code that a person was shown; `session` is what the log-in was begun with, if anything."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "VERIFIED-ABCD"}]})

    code: Annotated[str, Field(strict=True, min_length=1, max_length=128)]
    session: Conversation | None = None


class VerifiedCodeRequest(BaseModel):
    """For which conversation the code is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"session": "conversation-1"}]})

    session: Conversation | None = None


class VerifiedCodeOut(BaseModel):
    """A code to copy: ten minutes, one use."""

    code: str = Field(examples=["VERIFIED-MZXW6YTBOI4DSMRTGQ2TMNZY"])
    expires_in: int = Field(examples=[600])


class VerifiedSessionOut(BaseModel):
    """A session of seven days; send its token as `X-Session-Token`."""

    session_id: str = Field(examples=["ses_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    expires_at: datetime
    user: PersonOut
    organization: OrganizationBrief


class VerifiedSessionToken(VerifiedSessionOut):
    """The session and its token, shown once."""

    session_token: str = Field(examples=["m2m3Bq..."])
