"""What belongs to a person is sealed under a key of their own, in events, trails and sessions.

Destroying that key erases it everywhere at once, on Kafka too, where nothing can be deleted; ids and sums stay.
"""

from collections.abc import Collection, Mapping
from typing import Final

from contracts.errors import ConfigError
from infra.crypto import SEALED, Sealer, new_secret
from infra.postgres import users
from infra.postgres.database import Tx

ERASED: Final = "erased"
MAX_PLAIN: Final = 128
"""What is sealed fits into 255 characters then."""


class PersonSealer:
    """Seals and opens one person's texts."""

    def __init__(self, key: bytes, user_id: str) -> None:
        self._sealer = Sealer(key)
        self._purpose = f"person/{user_id}"

    def seal(self, text: str) -> str:
        """The text, sealed; what is longer than 128 bytes of UTF-8 is cut."""
        return self._sealer.seal_text(text.encode()[:MAX_PLAIN].decode(errors="ignore"), self._purpose)

    def open(self, text: str) -> str:
        """The text; what was not sealed comes back as it is. Raises: ConfigError when it is somebody else's."""
        return self._sealer.open_text(text, self._purpose)


async def make_person_key(tx: Tx, sealer: Sealer, user_id: str) -> PersonSealer:
    """The person's sealer, its key made and stored; called once, when they register."""
    key = new_secret().encode()
    await users.save_person_key(tx, user_id, sealer.seal(key, _purpose(user_id)))
    return PersonSealer(key, user_id)


async def person_sealers(tx: Tx, sealer: Sealer, user_ids: Collection[str]) -> Mapping[str, PersonSealer]:
    """The sealers of these people; who was erased has none."""
    found = await users.sealed_person_keys(tx, user_ids)
    return {one: PersonSealer(sealer.open(sealed, _purpose(one)), one) for one, sealed in found.items()}


def opened(sealers: Mapping[str, PersonSealer], user_id: str, text: str) -> str:
    """The person's text, or `erased` when their key is gone."""
    if not text.startswith(SEALED):
        return text
    sealer = sealers.get(user_id)
    try:
        return ERASED if sealer is None else sealer.open(text)
    except ConfigError:
        return ERASED


def _purpose(user_id: str) -> str:
    return f"person_keys/{user_id}"
