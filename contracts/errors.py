"""The whole error tree.

AihubError
├── InputError                  the caller can mend it
│   ├── Malformed               400  not JSON, not UTF-8, not an envelope
│   ├── Unauthenticated         401
│   │   └── StepUpRequired      401  logged in too long ago for this: prove it again (RFC 9470)
│   ├── InsufficientCredits     402
│   ├── PermissionDenied        403
│   │   ├── EmailUnverified     403  the password is right, the address is not proved yet
│   │   └── MfaRequired         403  the organization demands a second factor: set one up
│   ├── NotFound                404
│   ├── MethodNotAllowed        405
│   ├── NotAcceptable           406
│   ├── Conflict                409
│   │   ├── IdentityConflict    409  the same event identity with another body
│   │   └── IdempotencyConflict 409  the same Idempotency-Key with another body
│   ├── Gone                    410
│   ├── PreconditionFailed      412  If-Match names another version than there is
│   ├── TooLarge                413
│   ├── UriTooLong              414
│   ├── UnsupportedMediaType    415
│   ├── Invalid                 422  well-formed, but a value is not allowed; `details` carry JSON pointers
│   ├── RateLimited             429
│   └── HeadersTooLarge         431
├── BadRecord                   a record that no retry will mend: to the dead letters
│   ├── UnreadableRecord             not an envelope, or of an unknown type
│   └── InvalidRecord                an envelope whose data breaks its contract
├── Unavailable                 503  a dependency is down: wait and try again
│   ├── BrokerUnavailable
│   ├── DatabaseUnavailable
│   ├── AnalyticsUnavailable
│   ├── MailUnavailable
│   ├── ProviderUnavailable          another provider's log-in does not answer
│   └── Overloaded                   our own bounded buffers are full
├── TooManyDeadLetters          the likelier cause is a bad deploy: stop
├── EngineError                 an embedded engine could not be started, or died
└── ConfigError                 a setting is missing or wrong
"""

from enum import StrEnum
from typing import ClassVar, NamedTuple


class Fate(StrEnum):
    """What a consumer does with a record whose handling raised (see the laws in README.md)."""

    PARK = "park"
    WAIT = "wait"
    STOP = "stop"


class Problem(NamedTuple):
    """One thing that is wrong: `pointer` is a JSON pointer (RFC 6901) into the body, "" for the whole."""

    pointer: str
    code: str
    message: str


class AihubError(Exception):
    """Base of all; `code` never changes, `status` is the HTTP status, the message tells a person what to do."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    fate: ClassVar[Fate] = Fate.STOP

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = (), retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems
        self.retry_after_s = retry_after_s


class InputError(AihubError):
    code = "bad_request"
    status = 400
    fate = Fate.PARK


class Malformed(InputError):
    code = "malformed"


class Unauthenticated(InputError):
    code = "unauthenticated"
    status = 401


class StepUpRequired(Unauthenticated):
    code = "step_up_required"


class InsufficientCredits(InputError):
    code = "insufficient_credits"
    status = 402


class PermissionDenied(InputError):
    code = "permission_denied"
    status = 403

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = (), permission: str | None = None) -> None:
        """`permission`: what was lacking, for the fact that is stated of it; None: nothing is stated."""
        super().__init__(message, problems=problems)
        self.permission = permission


class EmailUnverified(PermissionDenied):
    code = "email_unverified"


class MfaRequired(PermissionDenied):
    code = "mfa_required"


class NotFound(InputError):
    code = "not_found"
    status = 404


class MethodNotAllowed(InputError):
    code = "method_not_allowed"
    status = 405


class NotAcceptable(InputError):
    code = "not_acceptable"
    status = 406


class Conflict(InputError):
    code = "conflict"
    status = 409


class IdentityConflict(Conflict):
    code = "identity_conflict"


class IdempotencyConflict(Conflict):
    code = "idempotency_conflict"


class Gone(InputError):
    code = "gone"
    status = 410


class PreconditionFailed(InputError):
    code = "precondition_failed"
    status = 412


class TooLarge(InputError):
    code = "too_large"
    status = 413


class UriTooLong(InputError):
    code = "uri_too_long"
    status = 414


class UnsupportedMediaType(InputError):
    code = "unsupported_media_type"
    status = 415


class Invalid(InputError):
    code = "invalid"
    status = 422


class RateLimited(InputError):
    code = "rate_limited"
    status = 429


class HeadersTooLarge(InputError):
    code = "headers_too_large"
    status = 431


class BadRecord(AihubError):
    code = "bad_record"
    status = 422
    fate = Fate.PARK


class UnreadableRecord(BadRecord):
    code = "unreadable_record"


class InvalidRecord(BadRecord):
    code = "invalid_record"


class Unavailable(AihubError):
    code = "unavailable"
    status = 503
    fate = Fate.WAIT

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = (), retry_after_s: int | None = 2) -> None:
        super().__init__(message, problems=problems, retry_after_s=retry_after_s)


class BrokerUnavailable(Unavailable):
    code = "broker_unavailable"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class AnalyticsUnavailable(Unavailable):
    code = "analytics_unavailable"


class MailUnavailable(Unavailable):
    code = "mail_unavailable"


class ProviderUnavailable(Unavailable):
    code = "provider_unavailable"


class Overloaded(Unavailable):
    code = "overloaded"


class TooManyDeadLetters(AihubError):
    code = "too_many_dead_letters"


class EngineError(AihubError):
    code = "engine"


class ConfigError(AihubError):
    code = "config"
