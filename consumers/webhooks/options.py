"""What a dispatcher may be told; the defaults are safe."""

import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from consumers.webhooks.slots import Limits
from infra.crypto import Sealer

POLL_S: Final = 0.5
DRAIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class DispatcherOptions:
    """`name` is the same after a restart and no other dispatcher's: it frees the leases of its last incarnation."""

    name: str = field(default_factory=socket.gethostname)
    limits: Limits = field(default_factory=Limits)
    poll_s: float = POLL_S
    drain_s: float = DRAIN_S
    sealer: Sealer | None = None
    """Opens the endpoints' secrets, which are sealed at rest; None: they are not."""
    chance: Callable[[], float] = field(default_factory=lambda: random.Random().random)  # noqa: S311 - jitter, no secret
