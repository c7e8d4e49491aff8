"""Takes the events of one request: judge each, publish the good ones, answer once the broker has them."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from prometheus_client import Counter

from api.core.keyring import Keyring
from api.core.principal import Principal
from api.core.request_ids import Context
from api.deps import Deps
from api.events.formats import Item, Sent
from api.events.judge import ANY_ORGANIZATION, Accepted, Judge
from contracts.errors import AihubError, IdentityConflict, Invalid, Malformed, Problem, Unavailable
from contracts.topics import Topic
from infra.kafka.producer import Placed, Producer
from infra.telemetry import metrics
from producers.publisher import record_headers

MAX_DETAILS: Final = 100
Group = tuple[Topic, str]


@dataclass(slots=True)
class Take:
    """What becomes of a request's events, in their order."""

    sent: Sent
    accepted_at: str
    verdicts: list[Accepted | AihubError]
    groups: dict[Group, list[int]] = field(default_factory=dict)
    same_as: dict[int, int] = field(default_factory=dict)
    placed: dict[int, tuple[str, int, int]] = field(default_factory=dict)


async def take(
    deps: Deps, keyring: Keyring, who: Principal, sent: Sent, context: Context, *, atomic: bool, seed: bytes | None
) -> Take:
    """Judges and publishes; returns once the broker has acknowledged every record.

    `seed`: makes the ids of events without one the same again for the same request (Idempotency-Key).
    Raises: the sole reason when nothing was accepted (Invalid with all details when there are several; always when
    `atomic` and one was refused); BrokerUnavailable, Overloaded: then nothing was accepted.
    """
    now = deps.clock.now()
    known = await _organizations(keyring, who, sent.items)
    judge = Judge(who, now, context.request_id, data_at=sent.data_at, organizations=known)
    result = Take(
        sent, judge.accepted_at, [_verdict(judge, item, index, seed) for index, item in enumerate(sent.items)]
    )
    _sort(result)
    for verdict in result.verdicts:
        if isinstance(verdict, AihubError):
            metrics.EVENTS_REJECTED.labels(verdict.code).inc()
    if atomic:
        _all_or_nothing(result)
    if not result.groups:
        raise refusal(result)
    await _publish(deps.producer, result)
    return result


def _verdict(judge: Judge, item: Item, index: int, seed: bytes | None) -> Accepted | AihubError:
    if type(item) is not dict:
        assert isinstance(item, Malformed)
        return item
    try:
        return judge.judge(item, None if seed is None else _made_id(seed, index))
    except AihubError as error:
        return error


def _made_id(seed: bytes, index: int) -> str:
    return "evt_" + hashlib.blake2b(b"%d:%s" % (index, seed), digest_size=16).hexdigest()


async def _organizations(keyring: Keyring, who: Principal, items: Sequence[Item]) -> frozenset[str]:
    """Those that exist, of the other organizations that the events name."""
    if not who.may(ANY_ORGANIZATION):
        return frozenset()
    named = {item.get("organization") for item in items if isinstance(item, dict)} - {None, who.organization_id}
    texts = [name for name in named if isinstance(name, str) and len(name) <= 255]
    return frozenset([name for name in texts if await keyring.organization_exists(name)])


def _sort(result: Take) -> None:
    """Groups what goes out together (one topic, one organization) and finds identities that came twice."""
    first: dict[tuple[str, str, str], int] = {}
    for index, verdict in enumerate(result.verdicts):
        if type(verdict) is not Accepted:
            continue
        identity = (verdict.organization, verdict.source, verdict.id)
        earlier = first.setdefault(identity, index)
        if earlier == index:
            result.groups.setdefault((verdict.topic, verdict.organization), []).append(index)
        elif _same_body(result.verdicts[earlier], verdict):
            result.same_as[index] = earlier
        else:
            message = "The same id and source came with another body earlier in this request; use a new id."
            problem = Problem("/id", "identity_conflict", message)
            result.verdicts[index] = IdentityConflict(message, problems=(problem,))


def _same_body(first: Accepted | AihubError, again: Accepted) -> bool:
    return isinstance(first, Accepted) and first.body_hash == again.body_hash


def _all_or_nothing(result: Take) -> None:
    if any(isinstance(verdict, AihubError) for verdict in result.verdicts):
        raise refusal(result, Invalid)
    if len(result.groups) > 1:
        problem = Problem("", "atomic_groups", "holds several families or organizations")
        message = "With ?atomic=true all events must be of one family and one organization: they go out as one batch."
        raise Invalid(message, problems=(problem,))


def refusal(result: Take, kind: type[AihubError] | None = None) -> AihubError:
    """The error for a request of which nothing was accepted; pointers lead into the body."""
    errors = [(index, verdict) for index, verdict in enumerate(result.verdicts) if isinstance(verdict, AihubError)]
    problems = [
        Problem(result.sent.pointer(index) + problem.pointer, problem.code, problem.message)
        for index, error in errors
        for problem in error.problems or (Problem("", error.code, error.message),)
    ]
    kinds = {type(error) for _, error in errors}
    kind = kind or (kinds.pop() if len(kinds) == 1 else Invalid)
    message = errors[0][1].message if len(errors) == 1 else f"{len(errors)} of {len(result.verdicts)} events refused."
    return kind(message, problems=tuple(problems[:MAX_DETAILS]))


async def _publish(producer: Producer, result: Take) -> None:
    """Sends every group. Raises: Unavailable when none of them could be placed."""
    groups = list(result.groups.items())
    if len(groups) == 1:
        (topic, _), indexes = groups[0]
        _note(result, topic, indexes, await _send(producer, result, *groups[0]))
        return
    outcomes = await asyncio.gather(*(_send(producer, result, *group) for group in groups), return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for failure in failed:
        if not isinstance(failure, Unavailable) or len(failed) == len(groups):
            raise failure
    for ((topic, _), indexes), outcome in zip(groups, outcomes, strict=True):
        if isinstance(outcome, Unavailable):
            _fail(result, indexes, outcome)
        elif not isinstance(outcome, BaseException):
            _note(result, topic, indexes, outcome)


async def _send(producer: Producer, result: Take, group: Group, indexes: list[int]) -> Placed:
    verdicts = result.verdicts
    values = [verdicts[index].value for index in indexes]  # type: ignore[union-attr]
    topic, organization = group
    return await producer.send(topic, organization, values, record_headers())


def _note(result: Take, topic: Topic, indexes: list[int], placed: Placed) -> None:
    name, partition = topic.name, placed.partition
    for index, offset in zip(indexes, placed.offsets, strict=True):
        result.placed[index] = (name, partition, offset)
    _accepted(name).inc(len(indexes))


@cache
def _accepted(topic: str) -> Counter:
    return metrics.EVENTS_ACCEPTED.labels(topic.split(".")[1])


def _fail(result: Take, indexes: list[int], error: Unavailable) -> None:
    """A group that the broker refused while it took another: its events, and what repeats them, are not accepted."""
    gone = set(indexes)
    for index in [*indexes, *(again for again, first in result.same_as.items() if first in gone)]:
        result.verdicts[index] = error


def results(result: Take) -> dict[str, Any]:
    """The answer's data: how many of what, and each event's own result."""
    rows: list[dict[str, Any]] = []
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    for index, verdict in enumerate(result.verdicts):
        if type(verdict) is Accepted:
            status = "duplicate" if index in result.same_as else "accepted"
            topic, partition, offset = result.placed[result.same_as.get(index, index)]
            receipt = {
                "topic": topic, "partition": partition, "offset": offset, "accepted_at": result.accepted_at,
            }  # fmt: skip
            rows.append(
                {
                    "index": index,
                    "id": verdict.id,
                    "status": status,
                    "receipt": receipt,
                    "id_generated": verdict.id_generated,
                }
            )
        else:
            status = "rejected"
            rows.append(_rejected(result.sent.items[index], index, verdict))  # type: ignore[arg-type]
        counts[status] += 1
    return {
        "accepted": counts["accepted"],
        "duplicates": counts["duplicate"],
        "rejected": counts["rejected"],
        "results": rows,
    }


def _rejected(item: Item, index: int, error: AihubError) -> dict[str, Any]:
    event_id = item.get("id") if isinstance(item, dict) else None
    return {
        "index": index,
        "id": event_id if isinstance(event_id, str) else None,
        "status": "rejected",
        "code": error.code,
        "message": error.message,
        "problems": [problem._asdict() for problem in error.problems],
    }


def seed_of(who: Principal, key: str, raw: bytes) -> bytes:
    """Stands for the request: a principal's same Idempotency-Key with the same body makes the same ids, for ever."""
    parts = (who.organization_id.encode(), who.id.encode(), key.encode(), raw)
    return hashlib.blake2b(b"\0".join(parts), digest_size=32).digest()
