"""Recovery codes: ten, shown once, each good for one log-in when the other factors are out of reach."""

from datetime import datetime
from typing import Final

from api.deps import Deps
from infra.crypto import hash_secret, new_recovery_code
from infra.postgres import factors as store
from infra.postgres.database import Tx

COUNT: Final = 10


async def replace(tx: Tx, deps: Deps, user_id: str, now: datetime) -> list[str]:
    """Fresh codes in clear, this once; those before are void."""
    codes = [new_recovery_code() for _ in range(COUNT)]
    await store.replace_recovery_codes(tx, user_id, [_hash(deps, user_id, code) for code in codes], now)
    return codes


async def use(tx: Tx, deps: Deps, user_id: str, code: str, now: datetime) -> str | None:
    """None when the code is good, and void from now on; else why not."""
    good = await store.use_recovery_code(tx, user_id, _hash(deps, user_id, code), now)
    if good:
        return None
    return "wrong" if good is None else "replayed"


def _hash(deps: Deps, user_id: str, code: str) -> bytes:
    """People type capitals, blanks, and no dashes."""
    plain = "".join(code.lower().split()).replace("-", "")
    return hash_secret(plain, deps.key_pepper, f"recovery_codes/{user_id}")
