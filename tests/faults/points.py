"""Named points of the commit path: where a process kills (or stops) itself, without any hook in the product."""

import functools
import importlib
import inspect
import os
import signal
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_COMMIT: Final = "infra.kafka.subscriber:GroupMember.commit"


class Point(NamedTuple):
    """Before or after a call of a function of the product, in one role.

    `since`: only a call that comes after one of this other function, so that there is something to be lost or doubled.
    """

    role: str
    where: str
    when: str
    says: str
    since: str = ""


POINTS: Final[dict[str, Point]] = {
    "before_produce": Point("api", "infra.kafka.producer:Producer._send", "before", "judged, nothing sent"),
    "after_ack": Point(
        "api", "infra.kafka.producer:Producer.send", "after", "the broker has it, the client has no answer"
    ),
    "credits_in_transaction": Point("credits", "infra.postgres.ledger_write:advance", "after", "all rows, no commit"),
    "credits_before_balances": Point("credits", "infra.postgres.ledger_write:set_balances", "before", "half the rows"),
    "credits_before_offset": Point("credits", _COMMIT, "before", "database committed, offset not"),
    "credits_after_offset": Point("credits", _COMMIT, "after", "offset committed, nothing else done"),
    "credits_before_outbox": Point("credits", "infra.postgres.outbox:add_many", "before", "booked, nothing stated"),
    "credits_before_letter": Point("credits", "consumers.effects:dead_letter", "before", "refused, not parked"),
    "credits_parked": Point("credits", "consumers.effects:Effects._park", "after", "parked, not committed"),
    "analytics_before_identities": Point(
        "analytics", "infra.clickhouse.facts:insert_identities", "before", "looked up, nothing written"
    ),
    "analytics_before_facts": Point("analytics", "infra.clickhouse.facts:insert_usage", "before", "identities only"),
    "analytics_after_facts": Point(
        "analytics", "infra.clickhouse.facts:insert_usage", "after", "facts written, no progress"
    ),
    "analytics_after_charges": Point(
        "analytics", "infra.clickhouse.facts:insert_charges", "after", "charges written, no progress"
    ),
    "analytics_before_offset": Point("analytics", _COMMIT, "before", "ClickHouse has it all, the offset is not"),
    "relay_before_ship": Point("relay", "producers.outbox:_ship", "before", "read, not published"),
    "relay_before_remove": Point("relay", "infra.postgres.outbox:remove", "before", "acknowledged, not removed"),
    "relay_in_removal": Point("relay", "infra.postgres.outbox:remove", "after", "removed, not committed"),
    "webhooks_in_transaction": Point(
        "webhooks", "consumers.webhooks.handlers:insert_messages", "after", "rows, no commit"
    ),
    "webhooks_before_offset": Point(
        "webhooks", _COMMIT, "before", "messages committed, offset not", "consumers.webhooks.handlers:insert_messages"
    ),
    "deliveries_leased": Point(
        "deliveries", "consumers.webhooks.leasing:Leasing._accept", "before", "leased, nothing sent"
    ),
    "deliveries_before_send": Point("deliveries", "infra.http.sender:Sender.post", "before", "signed, not sent"),
    "deliveries_after_send": Point("deliveries", "infra.http.sender:Sender.post", "after", "answered, no result"),
    "deliveries_in_result": Point(
        "deliveries", "consumers.webhooks.recorder:record", "after", "result written, no commit"
    ),
    "deadletters_before_offset": Point("deadletters", _COMMIT, "before", "stored, offset not committed"),
    "audit_before_offset": Point("audit", _COMMIT, "before", "appended, offset not committed"),
}


def of_role(role: str) -> list[str]:
    """The points of a role."""
    return [name for name, point in POINTS.items() if point.role == role]


def arm(name: str, nth: int = 1, how: signal.Signals = signal.SIGKILL) -> None:
    """Lets this process end (or stop) itself when it comes to the point for the nth time."""
    point = POINTS[name]
    count, is_due = 0, not point.since

    def due() -> None:
        nonlocal is_due
        is_due = True

    def fire() -> None:
        nonlocal count, is_due
        if not is_due:
            return
        count, is_due = count + 1, not point.since
        if count == nth:
            os.kill(os.getpid(), how)

    if point.since:
        wrap(point.since, after=due)
    wrap(point.where, before=fire if point.when == "before" else None, after=fire if point.when == "after" else None)


def wrap(where: str, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None) -> None:
    """Replaces `module:attribute.path` by itself with something done before or after."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            def plain(*args: Any, **kwargs: Any) -> Any:
                before and before()
                result = original(*args, **kwargs)
                after and after()
                return result

            return plain

        @functools.wraps(original)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            before and before()
            result = await original(*args, **kwargs)
            after and after()
            return result

        return wrapped

    replace(where, around)


def replace(where: str, make: Callable[[Any], Any]) -> None:
    """Sets `module:attribute.path` to `make(what it was)`."""
    module, _, path = where.partition(":")
    holder: Any = importlib.import_module(module)
    *parents, last = path.split(".")
    for parent in parents:
        holder = getattr(holder, parent)
    setattr(holder, last, make(getattr(holder, last)))
