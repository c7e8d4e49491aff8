"""A killed process stays a member of its group until its session ends: its successor takes it out at once.

Not static membership (KIP-345): aiokafka 0.14 sends `group.instance.id` only where it joins. Two living processes of
one name would take the group from each other for ever, and one that ends in order would keep its partitions.
"""

import asyncio
from typing import Final

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownMemberIdError, for_code
from aiokafka.protocol.group import LeaveGroupRequest

from infra.kafka.admin import admin_client
from infra.kafka.options import KafkaOptions

DEADLINE_S: Final = 5.0
_RETRY_S: Final = 0.1

_log = structlog.get_logger(__name__)


async def dismiss_predecessor(options: KafkaOptions, group: str) -> int:
    """How many members of the group had this instance's client id and were taken out; 0 for one without a name.

    One that is alive after all joins again and loses nothing but its batch in hand. Best effort: what the brokers
    refuse for 5 s is left to the session timeout. Raises: BrokerUnavailable.
    """
    if options.instance is None:
        return 0
    async with admin_client(options) as client:
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await _patiently(client, options, group)
        except (KafkaError, TimeoutError) as error:
            _log.warning("kafka.predecessor.kept", consumer=group, reason=str(error) or type(error).__name__)
            return 0


async def _patiently(client: AIOKafkaAdminClient, options: KafkaOptions, group: str) -> int:
    """A group's coordinator is not there for a moment after its broker has started."""
    while True:
        try:
            return await _dismiss(client, options, options.group(group))
        except KafkaError as error:
            if not error.retriable:
                raise
        await asyncio.sleep(_RETRY_S)


async def _dismiss(client: AIOKafkaAdminClient, options: KafkaOptions, group: str) -> int:
    coordinator = await client.find_coordinator(group)
    (answer,) = await client.describe_consumer_groups([group], coordinator)
    (described,) = answer.groups
    _check(described[0], group)
    mine = [member[0] for member in described[5] if member[1] == options.client_name]
    for member in mine:
        left = await client._send_request(LeaveGroupRequest(group, member), coordinator)
        if for_code(left.error_code) is not UnknownMemberIdError:
            _check(left.error_code, group)
        _log.info("kafka.predecessor.dismissed", consumer=group, member=member)
    return len(mine)


def _check(code: int, group: str) -> None:
    if code:
        raise for_code(code)(group)
