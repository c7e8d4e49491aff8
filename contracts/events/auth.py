"""Auth: what happened to keys, users and permissions; the audit trail's input."""

from typing import Any, ClassVar, Literal

from contracts import topics
from contracts.events.base import EventData
from contracts.types import LongText, Text


class AuthFact(EventData):
    """Base of what the audit trail keeps: `actor` did it, from `address`."""

    TOPIC: ClassVar = topics.AUTH
    PERMISSION: ClassVar[str | None] = "auth:write"

    actor: Text | None = None
    address: Text | None = None


class KeyCreatedV1(AuthFact):
    """An API key was made; the key itself is in no event."""

    TYPE: ClassVar[str] = "auth.key.created.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "key_id": "key_01",
        "name": "production",
        "scopes": ["events:write"],
        "actor": "user_1",
        "address": "192.0.2.7",
    }

    key_id: Text
    name: Text
    scopes: tuple[Text, ...] = ()


class KeyRevokedV1(AuthFact):
    """An API key was revoked; nothing that it signs from now on is accepted."""

    TYPE: ClassVar[str] = "auth.key.revoked.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"key_id": "key_01", "reason": "leaked", "actor": "user_1"}

    key_id: Text
    reason: LongText | None = None


class UserRegisteredV1(AuthFact):
    """A user was registered."""

    TYPE: ClassVar[str] = "auth.user.registered.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "method": "password"}

    user_id: Text
    method: Literal["password", "oauth", "invitation"] = "password"


class UserLoggedInV1(AuthFact):
    """A user logged in."""

    TYPE: ClassVar[str] = "auth.user.logged_in.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "method": "password", "address": "192.0.2.7"}

    user_id: Text
    method: Literal["password", "oauth", "passkey", "totp"] = "password"


class LoginFailedV1(AuthFact):
    """A log-in failed; the name that was tried is not told."""

    TYPE: ClassVar[str] = "auth.login.failed.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "reason": "wrong password", "address": "192.0.2.7"}

    user_id: Text | None = None
    reason: Text


class PermissionDeniedV1(AuthFact):
    """Somebody asked for what they may not do."""

    TYPE: ClassVar[str] = "auth.permission.denied.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"permission": "credits:grant", "actor": "key_01", "route": "/v1/events"}

    permission: Text
    route: Text | None = None
