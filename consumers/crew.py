"""Several members of one group in one process: while one waits for its sink, another one works."""

import asyncio
from collections.abc import Sequence
from typing import Generic

from consumers.batch import R
from consumers.runtime import ConsumerApp


class Crew(Generic[R]):
    """Consumers of one name that run as one role; each has partitions of its own, as if in a process of its own.

    So order within a partition, the three fates and the commits are each member's own: nothing is shared but the
    handler and the progress that health is told of. Both must bear calls from several members at once.
    """

    def __init__(self, members: Sequence[ConsumerApp[R]]) -> None:
        self.members = tuple(members)
        self.name = self.members[0].name
        self.topics = self.members[0].topics
        self.progress = self.members[0].progress

    @property
    def is_shared_out(self) -> bool:
        """Whether every member has partitions: then the group has come to rest, if there are enough of them."""
        return all(member.owns_partitions for member in self.members)

    async def run(self, stop: asyncio.Event) -> None:
        """Consumes until `stop` is set, then drains within 15 s, all members at once.

        When one member fails the others end as if stopped, and its error is raised.
        """
        tasks = [asyncio.create_task(member.run(stop)) for member in self.members]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
