"""One delivery: the signed request, and what its answer means for the row."""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from contracts import json_text
from contracts.errors import ConfigError
from contracts.rules.deliveries import Outcome, next_attempt, outcome_of, retry_after_s
from infra.crypto import SEALED, Sealer
from infra.http.sender import Reply
from infra.postgres.webhooks_endpoints import header_purpose, secret_purpose
from infra.postgres.webhooks_queue import Leased, Target
from infra.postgres.webhooks_results import Result

MESSAGE_PREFIX: Final = "msg_"
KEY_PREFIX: Final = "whsec_"
VERSION: Final = "v1,"


def message_name(message_id: UUID) -> str:
    """The id that subscribers see, the same on every attempt: `msg_` and 32 hexadecimal digits."""
    return MESSAGE_PREFIX + message_id.hex


def opened(target: Target, sealer: Sealer | None) -> Target:
    """The target with secrets and headers in clear. Raises: ConfigError when they were sealed under a lost secret."""
    if sealer is None:
        if any(text.startswith(SEALED) for text in (*target.secrets, *target.headers.values())):
            raise ConfigError("The endpoints' secrets are sealed: give the dispatcher the hub's secret.")
        return target
    purpose = secret_purpose(target.id)
    return replace(
        target,
        secrets=tuple(sealer.open_text(secret, purpose) for secret in target.secrets),
        headers={
            name: sealer.open_text(value, header_purpose(target.id, name)) for name, value in target.headers.items()
        },
    )


@lru_cache(maxsize=4096)
def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(KEY_PREFIX))


def signed_headers(secrets: Sequence[str], message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks 1.0: one signature for each secret that is valid now."""
    timestamp = int(now.timestamp())
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    signatures = [base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join([VERSION + signature for signature in signatures]),
    }


def request_headers(leased: Leased, target: Target, now: datetime, body: bytes) -> dict[str, str]:
    """Every header of the request; the endpoint's own ones cannot replace ours."""
    signed = signed_headers(target.secrets, message_name(leased.message_id), now, body)
    return {**target.headers, "content-type": "application/json", **signed}


@lru_cache(maxsize=8192)
def host_of(url: str) -> str:
    """What the limit per host counts: host and port."""
    return urlsplit(url).netloc.lower()


def result_of(leased: Leased, reply: Reply, now: datetime, chance: float) -> tuple[Outcome, Result]:
    """What became of the attempt, and how the row goes on: done, due again, or dead after the last attempt."""
    outcome = outcome_of(reply.status, timed_out=reply.timed_out)
    wait_s = retry_after_s(reply.headers.get("retry-after"), now)
    again = next_attempt(leased.attempts + 1, outcome, now, chance, wait_s=wait_s)
    state = "succeeded" if outcome is Outcome.SUCCEEDED else "pending" if again else "dead"
    result = Result(
        delivery_id=leased.id,
        owner=leased.owner,
        fencing=leased.fencing,
        state=state,
        due_at=again or leased.due_at,
        at=now,
        duration_ms=reply.duration_ms,
        outcome=outcome.value,
        status=reply.status,
        error=reply.error or (None if outcome is Outcome.SUCCEEDED else f"answered {reply.status}"),
        headers=json_text.dump({_storable(name): _storable(value) for name, value in reply.headers.items()}).decode(),
        body=_storable(reply.body.decode("utf-8", "replace")) if reply.body else "",
    )
    return outcome, result


def _storable(text: str) -> str:
    """PostgreSQL stores no NUL; headers may hold lone surrogates. Before encoding: JSON's own escapes stay whole."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
