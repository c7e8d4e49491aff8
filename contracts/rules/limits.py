"""How often somebody may ask, by class of route and role: requests in a window that begins with the first of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final

from contracts.rules.access import RATE_CLASSES

WINDOW_S: Final = 60

DEFAULT: Final = "default"
STRICT: Final = "strict"
LENIENT: Final = "lenient"
INGEST: Final = "ingest"
EXEMPT: Final = "exempt"

Quota = int | None
"""Requests in a window; None: as many as they like."""

CLASSES: Final[Mapping[str, Mapping[str, Quota]]] = {
    DEFAULT: {"guest": 10, "user": 60, "manager": 120, "admin": None},
    STRICT: {"guest": 5, "user": 10, "manager": 20, "admin": None},
    LENIENT: {"guest": 20, "user": 100, "manager": 200, "admin": None},
}
"""Strict: where secrets are guessed. Lenient: cheap reads that pages ask for. Nobody in particular is a guest."""

PLANS: Final[Mapping[str, Quota]] = {"unlimited": None}
"""Requests that send events, by the organization's plan; a plan that is not here is not limited."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The tables in force."""

    classes: Mapping[str, Mapping[str, Quota]] = field(default_factory=lambda: CLASSES)
    plans: Mapping[str, Quota] = field(default_factory=lambda: PLANS)

    @property
    def limits_plans(self) -> bool:
        """Whether any plan is limited at all."""
        return any(quota is not None for quota in self.plans.values())

    def changed(self, classes: Mapping[str, Mapping[str, Quota]], plans: Mapping[str, Quota]) -> "Limits":
        """These tables with other figures in places. Raises: ValueError (unknown class or role, a quota below 1)."""
        for name, roles in classes.items():
            if name not in self.classes or not set(roles) <= set(RATE_CLASSES):
                raise ValueError(f"{name}: classes are {', '.join(self.classes)}, roles {', '.join(RATE_CLASSES)}")
        figures = [quota for roles in (*classes.values(), plans) for quota in roles.values()]
        if any(quota is not None and quota < 1 for quota in figures):
            raise ValueError("a quota is at least 1, or null for none")
        merged = {name: {**roles, **classes.get(name, {})} for name, roles in self.classes.items()}
        return Limits(merged, {**self.plans, **plans})


def role_of(rate_class: str, *, person: bool) -> str:
    """The role whose quota somebody has. A key is at least a user: an organization's member has made it."""
    return rate_class if person or rate_class != "guest" else "user"


def network_of(address: str) -> str:
    """Whom an address stands for: itself, of IPv6 its /64, which is one household's."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else address


def block_of(quota: int) -> int:
    """How many requests a process takes at once from a plan's quota, to spend without asking: a twentieth."""
    return max(1, quota // 20)
