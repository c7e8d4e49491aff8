"""Nobody removes their last way to log in."""

from contracts.errors import Conflict
from infra.postgres import linked_identities, users
from infra.postgres.database import Tx
from infra.postgres.passkeys import passkeys_of


async def keep_a_way_in(tx: Tx, user_id: str) -> None:
    """Returns when the person, locked, can still log in after what the transaction did so far.

    A password needs an address, a linked account and a passkey need nothing else. Raises: Conflict.
    """
    user = await users.find_user(tx, user_id)
    if user is None or (user.password_hash is not None and user.email is not None):
        return
    if not await passkeys_of(tx, user_id) and not await linked_identities.of_user(tx, user_id):
        raise Conflict("This is your last way to log in: set a password, a passkey or another account first.")
