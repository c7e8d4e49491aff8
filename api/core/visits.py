"""One request about a person: what it stands on, where it comes from, and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from api.core.request_ids import Context, context_of
from api.core.tokens import Tokens
from api.deps import Deps
from infra.crypto import hash_secret
from infra.passwords import Passwords

DEVICE_HEADER: Final = b"x-device-token"
MAX_DEVICE_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Visit:
    """What every step of registering, logging in and proving oneself needs; `now` is read once."""

    deps: Deps
    tokens: Tokens
    passwords: Passwords
    context: Context
    now: datetime

    @property
    def device_name(self) -> str:
        """What the client calls itself (User-Agent); personal data: sealed wherever it is kept."""
        return self.context.headers.get(b"user-agent", b"").decode("latin-1")[:MAX_DEVICE_NAME]

    @property
    def device_hash(self) -> bytes | None:
        """The hash of the device token (`X-Device-Token`) that an earlier log-in handed out; None: none was sent."""
        token = self.context.headers.get(DEVICE_HEADER)
        return None if token is None else self.hash("device", token.decode("latin-1"))

    def hash(self, purpose: str, secret: str) -> bytes:
        """What is stored of a secret that was handed out for this purpose."""
        return hash_secret(secret, self.deps.key_pepper, purpose)


async def visit_of(request: Request) -> Visit:
    """This request."""
    state = request.app.state
    return Visit(state.deps, state.tokens, state.passwords, context_of(request), state.deps.clock.now())


VisitIn = Annotated[Visit, Depends(visit_of)]
