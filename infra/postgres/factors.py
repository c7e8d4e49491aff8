"""Second factors as stored."""

from infra.postgres.database import Tx


async def methods_of(_tx: Tx, _user_id: str) -> tuple[str, ...]:
    """The second factors that the person has confirmed: of `totp`, `passkey`, `recovery_code`."""
    return ()
