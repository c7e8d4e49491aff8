"""While the database is away a dispatcher waits; what it was about to do is done again later."""

from collections.abc import Awaitable, Callable

import structlog

from contracts.errors import DatabaseUnavailable

log = structlog.get_logger()


async def unless_down(step: Callable[[], Awaitable[None]]) -> bool:
    """Whether the step was done; False when the database is away."""
    try:
        await step()
    except DatabaseUnavailable as error:
        log.warning("webhooks.database_away", reason=error.message)
        return False
    return True
