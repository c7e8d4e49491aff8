"""Members: who joined an organization, which roles they have, what roles and teams there are."""

from typing import Any, ClassVar

from contracts.events.auth import AuthFact
from contracts.types import Text


class OrganizationCreatedV1(AuthFact):
    """An organization was made."""

    TYPE: ClassVar[str] = "auth.organization.created.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"organization_id": "org_1", "owner": "user_1", "actor": "user_1"}

    organization_id: Text
    owner: Text | None = None


class OrganizationChangedV1(AuthFact):
    """An organization's name, plan or policy changed; `changed` names the fields."""

    TYPE: ClassVar[str] = "auth.organization.changed.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"organization_id": "org_1", "changed": ["policy"], "actor": "user_1"}

    organization_id: Text
    changed: tuple[Text, ...]


class MemberInvitedV1(AuthFact):
    """Somebody was invited; the address is in no event."""

    TYPE: ClassVar[str] = "auth.member.invited.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"invitation_id": "inv_1", "role_id": "user", "actor": "user_1"}

    invitation_id: Text
    role_id: Text


class MemberJoinedV1(AuthFact):
    """A user became a member."""

    TYPE: ClassVar[str] = "auth.member.joined.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_2", "invitation_id": "inv_1", "actor": "user_2"}

    user_id: Text
    invitation_id: Text | None = None


class MemberRemovedV1(AuthFact):
    """A user is no longer a member."""

    TYPE: ClassVar[str] = "auth.member.removed.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_2", "actor": "user_1"}

    user_id: Text


class OwnerChangedV1(AuthFact):
    """A member became an owner, or is none any more."""

    TYPE: ClassVar[str] = "auth.member.owner_changed.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "user_2", "owner": True, "actor": "user_1"}

    user_id: Text
    owner: bool


class RoleAssignedV1(AuthFact):
    """A member got a role; in one team when `team_id` is told."""

    TYPE: ClassVar[str] = "auth.role.assigned.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "user_id": "user_2",
        "role_id": "manager",
        "team_id": "team_1",
        "actor": "user_1",
    }

    user_id: Text
    role_id: Text
    team_id: Text | None = None


class RoleUnassignedV1(AuthFact):
    """A member lost a role."""

    TYPE: ClassVar[str] = "auth.role.unassigned.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "user_id": "user_2",
        "role_id": "manager",
        "team_id": "team_1",
        "actor": "user_1",
    }

    user_id: Text
    role_id: Text
    team_id: Text | None = None


class RoleFact(AuthFact):
    """Base of what happened to a role of an organization's own."""

    role_id: Text
    name: Text
    permissions: tuple[Text, ...] = ()
    inherits: tuple[Text, ...] = ()


_ROLE = {
    "role_id": "role_1",
    "name": "Billing",
    "permissions": ["credits:read"],
    "inherits": ["guest"],
    "actor": "user_1",
}


class RoleCreatedV1(RoleFact):
    """An organization made a role."""

    TYPE: ClassVar[str] = "auth.role.created.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = _ROLE


class RoleChangedV1(RoleFact):
    """A role's permissions, name or inheritance changed."""

    TYPE: ClassVar[str] = "auth.role.changed.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = _ROLE


class RoleDeletedV1(AuthFact):
    """A role that nobody had was deleted."""

    TYPE: ClassVar[str] = "auth.role.deleted.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"role_id": "role_1", "name": "Billing", "actor": "user_1"}

    role_id: Text
    name: Text


class TeamFact(AuthFact):
    """Base of what happened to a team."""

    team_id: Text
    name: Text


class TeamCreatedV1(TeamFact):
    """A team was made."""

    TYPE: ClassVar[str] = "auth.team.created.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"team_id": "team_1", "name": "Research", "actor": "user_1"}


class TeamChangedV1(TeamFact):
    """A team has another name or other members."""

    TYPE: ClassVar[str] = "auth.team.changed.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "team_id": "team_1",
        "name": "Research",
        "joined": ["user_2"],
        "left": ["user_3"],
    }

    joined: tuple[Text, ...] = ()
    left: tuple[Text, ...] = ()


class TeamDeletedV1(TeamFact):
    """A team was deleted."""

    TYPE: ClassVar[str] = "auth.team.deleted.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"team_id": "team_1", "name": "Research", "actor": "user_1"}
