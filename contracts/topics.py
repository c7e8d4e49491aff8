"""Topic names, partitions and retention. The key of every record is the organization id."""

from dataclasses import dataclass
from typing import Final

DAY_MS: Final = 86_400_000
FOREVER: Final = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: `retention_ms` -1 keeps records for ever (the ledger's own input is money's memory)."""

    name: str
    summary: str
    retention_ms: int = FOREVER
    max_message_bytes: int = 8 * 1024 * 1024


USAGE: Final = Topic("aihub.usage.v1", "What organizations used", retention_ms=90 * DAY_MS)
CREDITS: Final = Topic("aihub.credits.v1", "Grants, purchases, adjustments and refunds, as told by trusted sources")
AUTH: Final = Topic("aihub.auth.v1", "What happened to keys, users and permissions", retention_ms=7 * 366 * DAY_MS)
LEDGER: Final = Topic("aihub.ledger.v1", "What the ledger booked, stated by the ledger itself")
WEBHOOKS: Final = Topic("aihub.webhooks.v1", "What happened to webhook endpoints", retention_ms=90 * DAY_MS)
DEAD_LETTERS: Final = Topic(
    "aihub.dead-letters.v1",
    "Records that a consumer could not read or had to refuse",
    max_message_bytes=9 * 1024 * 1024,  # the largest record of another topic fits, with its reason
)

TOPICS: Final = (USAGE, CREDITS, AUTH, LEDGER, WEBHOOKS, DEAD_LETTERS)
BY_NAME: Final = {topic.name: topic for topic in TOPICS}


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The names in use: a prefix lets tests and tenants of one cluster live side by side."""

    prefix: str = ""

    def of(self, topic: Topic) -> str:
        """The topic's name on the broker."""
        return self.prefix + topic.name

    def topic(self, name: str) -> Topic:
        """The topic that a name on the broker stands for. Raises: KeyError."""
        return BY_NAME[name.removeprefix(self.prefix)]
