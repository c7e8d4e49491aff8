"""Auth: what happened to keys, users and permissions; the audit trail's input."""

from typing import Any, ClassVar, Literal

from contracts import topics
from contracts.events.base import EventData
from contracts.types import Instant, LongText, Text


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


class KeyRotatedV1(AuthFact):
    """An API key got a new secret; the old one works until `previous_until`."""

    TYPE: ClassVar[str] = "auth.key.rotated.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "key_id": "key_01",
        "previous_until": "2026-11-24T07:30:00.000000Z",
        "actor": "user_1",
    }

    key_id: Text
    previous_until: Instant


class KeyChangedV1(AuthFact):
    """An API key's name, expiry or networks changed; `changed` names the fields."""

    TYPE: ClassVar[str] = "auth.key.changed.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"key_id": "key_01", "changed": ["allowed_networks"], "actor": "user_1"}

    key_id: Text
    changed: tuple[Literal["allowed_networks", "expires_at", "name"], ...]


class KeyUsedFirstV1(AuthFact):
    """An API key was used from an address that it had not been used from before."""

    TYPE: ClassVar[str] = "auth.key.used_first.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"key_id": "key_01", "actor": "key_01", "address": "192.0.2.7"}

    key_id: Text


class UserVerifiedV1(AuthFact):
    """A user proved that an e-mail address is theirs."""

    TYPE: ClassVar[str] = "auth.user.verified.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "actor": "user_1"}

    user_id: Text


class UserUpdatedV1(AuthFact):
    """What is known of a user changed; `changed` names the fields, their values are in no event."""

    TYPE: ClassVar[str] = "auth.user.updated.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "changed": ["password"], "actor": "user_1"}

    user_id: Text
    changed: tuple[Literal["email", "locale", "name", "password", "status"], ...]


class UserErasedV1(AuthFact):
    """A user's personal data was erased; sums stay."""

    TYPE: ClassVar[str] = "auth.user.erased.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "actor": "user_1"}

    user_id: Text


class UserLoggedOutV1(AuthFact):
    """A user logged out."""

    TYPE: ClassVar[str] = "auth.user.logged_out.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "session_id": "ses_01", "actor": "user_1"}

    user_id: Text
    session_id: Text


class UserLockedV1(AuthFact):
    """Log-ins of an account are refused for a while: too many failed."""

    TYPE: ClassVar[str] = "auth.user.locked.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "user_id": "user_1",
        "until": "2026-11-23T08:30:00.000000Z",
        "address": "192.0.2.7",
    }

    user_id: Text
    until: Instant


class SessionStartedV1(AuthFact):
    """A session began; `methods` as RFC 8176 names them."""

    TYPE: ClassVar[str] = "auth.session.started.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "user_id": "user_1",
        "session_id": "ses_01",
        "methods": ["pwd", "otp"],
        "actor": "user_1",
    }

    user_id: Text
    session_id: Text
    methods: tuple[Text, ...]


class SessionElevatedV1(AuthFact):
    """A user proved again who they are, for money, keys or roles."""

    TYPE: ClassVar[str] = "auth.session.elevated.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "user_id": "user_1",
        "session_id": "ses_01",
        "method": "otp",
        "actor": "user_1",
    }

    user_id: Text
    session_id: Text
    method: Text


class SessionRevokedV1(AuthFact):
    """A session was ended by somebody or something else than a log-out."""

    TYPE: ClassVar[str] = "auth.session.revoked.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "user_id": "user_1",
        "session_id": "ses_01",
        "reason": "password changed",
        "actor": "user_1",
    }

    user_id: Text
    session_id: Text
    reason: Text


class RefreshReusedV1(AuthFact):
    """A refresh token came a second time: it was stolen or copied, so its session was ended."""

    TYPE: ClassVar[str] = "auth.refresh.reused.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "session_id": "ses_01", "address": "192.0.2.7"}

    user_id: Text
    session_id: Text


FactorKind = Literal["totp", "passkey", "recovery_codes"]


class FactorEnrolledV1(AuthFact):
    """A second factor was set up."""

    TYPE: ClassVar[str] = "auth.factor.enrolled.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "factor": "totp", "actor": "user_1"}

    user_id: Text
    factor: FactorKind


class FactorRemovedV1(AuthFact):
    """A second factor was taken away."""

    TYPE: ClassVar[str] = "auth.factor.removed.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "factor": "totp", "actor": "user_1"}

    user_id: Text
    factor: FactorKind


class FactorFailedV1(AuthFact):
    """A second factor was wrong, or was used before."""

    TYPE: ClassVar[str] = "auth.factor.failed.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "factor": "totp", "reason": "replayed"}

    user_id: Text
    factor: FactorKind
    reason: Text


class IdentityLinkedV1(AuthFact):
    """A user can now log in with an account of another provider."""

    TYPE: ClassVar[str] = "auth.identity.linked.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "provider": "google", "actor": "user_1"}

    user_id: Text
    provider: Text


class IdentityUnlinkedV1(AuthFact):
    """A user can no longer log in with an account of another provider."""

    TYPE: ClassVar[str] = "auth.identity.unlinked.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_1", "provider": "google", "actor": "user_1"}

    user_id: Text
    provider: Text
