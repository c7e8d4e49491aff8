"""Who asks: one shape for API keys, service credentials and people, everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from contracts.errors import PermissionDenied, StepUpRequired, Unauthenticated
from contracts.rules.access import ANYBODY, SELF, allows

ANY_ORGANIZATION: Final = "system:any_organization"


class Kind(StrEnum):
    """How somebody proved who they are."""

    KEY = "key"
    SERVICE = "service"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Login:
    """The session behind a person's access token. `methods` as RFC 8176 names them (pwd, otp, hwk, swk ...)."""

    id: str
    authenticated_at: datetime
    methods: frozenset[str]
    elevated_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and the organization that they act for.

    `id` names the key or the user. `scopes` hold in the whole organization, those of `teams` in one team only.
    `must_enrol`: the organization demands a second factor and the person has none.
    `networks` are the only ones that a key may come from (none: any). `rate_class` is a role of RATE_CLASSES.
    `made_by` made the key; `subject` is the member whom a service credential speaks for (`X-User-ID`).
    """

    id: str
    organization_id: str
    scopes: frozenset[str]
    expires_at: datetime | None = None
    kind: Kind = Kind.KEY
    rate_class: str = "user"
    login: Login | None = None
    teams: Mapping[str, frozenset[str]] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    made_by: str | None = None
    subject: str | None = None
    must_enrol: bool = False

    @property
    def user_id(self) -> str:
        """The person. Raises: Unauthenticated for a key."""
        if self.kind is not Kind.USER:
            raise Unauthenticated("This route is about a person: log in and send the access token, not an API key.")
        return self.id

    def may(self, permission: str, team: str | None = None) -> bool:
        """Whether they hold the permission in the whole organization, or in this team."""
        return allows(self.scopes, permission) or (team is not None and allows(self.teams.get(team, _NONE), permission))

    def teams_with(self, permission: str) -> frozenset[str] | None:
        """The teams in which they hold the permission; None: all of them, they hold it in the organization."""
        if allows(self.scopes, permission):
            return None
        return frozenset(team for team, scopes in self.teams.items() if allows(scopes, permission))

    def require(self, permission: str, team: str | None = None) -> None:
        """Returns when they may. Raises: PermissionDenied, naming the permission; Unauthenticated for SELF."""
        if permission == ANYBODY:
            return
        if permission == SELF:
            _ = self.user_id
        elif not self.may(permission, team):
            raise denied(permission)

    def require_step_up(self, now: datetime) -> None:
        """Returns for a key, and for a person who has just proved who they are. Raises: StepUpRequired."""
        if self.kind is Kind.USER:
            until = self.login.elevated_until if self.login else None
            if until is None or until <= now:
                raise StepUpRequired(
                    "Prove again that it is you: POST /v1/auth/step-up with your password or second factor, then retry."
                )


_NONE: Final[frozenset[str]] = frozenset()


def denied(permission: str) -> PermissionDenied:
    """What somebody is told who lacks the permission."""
    message = f"The permission {permission} is missing; ask an admin for a role or a key that has it."
    return PermissionDenied(message, permission=permission)
