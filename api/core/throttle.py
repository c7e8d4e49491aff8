"""Growing delays for whoever fails to prove who they are, exact however many try at once.

A proof is checked first and counted after: one transaction locks the subjects and decides. Of any number of guesses at
once at most as many are answered as may fail; the others get 429, right or wrong.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil

from api.core.visits import Visit
from contracts.errors import RateLimited
from contracts.rules import throttle
from contracts.rules.throttle import Failures
from infra.postgres import login_failures as store
from infra.postgres.database import Tx


def account_of(visit: Visit, email: str) -> str:
    """The subject of an account, whether there is one or not; stored as a hash."""
    return "account:" + visit.hash("throttle", email).hex()[:32]


def person_of(user_id: str) -> str:
    """The subject of somebody who is logged in and proves it again."""
    return f"person:{user_id}"


def device_of(digest: bytes) -> str:
    """The subject of a device that the account was used from before."""
    return "device:" + digest.hex()[:32]


def address_of(visit: Visit) -> str:
    """The subject of the client's address, an IPv6 one by its /64; stored as a hash."""
    address = visit.context.address
    try:
        parsed = ip_address(address)
        address = parsed.exploded[:19] if isinstance(parsed, IPv6Address) else parsed.exploded
    except ValueError:
        address = "unknown"
    return "address:" + visit.hash("throttle", address).hex()[:32]


async def look(tx: Tx, subjects: Sequence[str], now: datetime) -> None:
    """Returns when all of them may try; saves the work of checking what would not be answered. Raises: RateLimited."""
    _refuse_early(list((await store.read(tx, subjects)).values()), now)


async def succeeded(tx: Tx, subjects: Sequence[str], now: datetime, *, forget: Sequence[str] = ()) -> None:
    """The proof was right: of `forget` nothing is remembered any more. Raises: RateLimited, right or not."""
    _refuse_early(list((await store.lock(tx, subjects)).values()), now)
    if forget:
        await store.forget(tx, forget)


async def failed(tx: Tx, subjects: Sequence[str], now: datetime) -> datetime | None:
    """The proof was wrong: counted for every subject; the instant until which a subject is locked, if one is now.

    Whoever opened `tx` commits before they refuse. Raises: RateLimited when it came too early, uncounted.
    """
    await store.place(tx, subjects, now)
    known = await store.lock(tx, subjects)
    _refuse_early(list(known.values()), now)
    locked = None
    for subject, before in sorted(known.items()):
        after = throttle.failed(before if before.failures else None, now)
        await store.keep(tx, subject, after)
        if throttle.locks(after):
            locked = max(locked or after.next_at, after.next_at)
    return locked


async def forget(tx: Tx, subjects: Sequence[str]) -> None:
    """Nothing is remembered of these subjects any more."""
    await store.forget(tx, subjects)


def _refuse_early(known: list[Failures], now: datetime) -> None:
    longest = max((throttle.wait(one, now) for one in known), default=timedelta(0))
    if longest:
        seconds = ceil(longest.total_seconds())
        raise RateLimited(f"Too many failed attempts; try again in {seconds} s.", retry_after_s=seconds)
