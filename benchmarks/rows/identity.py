"""Access tokens and sessions verified; log-ins, which the hash bounds, and what they do to other requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

import aiohttp

from api.core.people import People
from api.core.persons import make_person_key
from api.core.tokens import Tokens
from benchmarks.measure import Size, median, percentile
from benchmarks.processes import cpu_s
from benchmarks.report import Row
from benchmarks.world import SECRET, World, api_process
from infra.clock import SystemClock
from infra.crypto import Sealer
from infra.ids import new_id
from infra.passwords import Passwords
from infra.postgres import keys, members, sessions, users
from infra.postgres.database import Database

PASSWORD: Final = "seven green boats at dawn"
PEOPLE: Final = 50
VERIFIED: Final = 2_000
LOOKED_UP: Final = 300
PROBE_EVERY_S: Final = 0.02
ROUNDS: Final = 2
"""Of 50 log-ins: each costs half a minute on a busy machine."""
ISSUER: Final = "http://hub.example"


class Hashed(NamedTuple):
    """Hashes a second, and seconds of CPU of one."""

    rate: float
    cpu_s: float


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    kafka, dsn = await world.kafka(), await world.database()
    database = Database.open(dsn)
    try:
        emails, sealer = await _people(database), Sealer(SECRET.encode())
        rows = await _verifying(database, sealer, size)
        settings = {"AIHUB_RATE_LIMITING": "false", "AIHUB_PUBLIC_URL": ISSUER}
        async with api_process(world, kafka, dsn, settings) as (pid, port):
            rows += await _logging_in(pid, port, emails, size)
    finally:
        await database.close()
    return rows


async def _people(database: Database) -> list[str]:
    """Addresses of people who can log in; one hash for all."""
    sealer, now = Sealer(SECRET.encode()), SystemClock().now()
    digest = await Passwords().hash(PASSWORD)
    emails = [f"p{number}@example.com" for number in range(PEOPLE)]
    async with database.unscoped() as tx:
        await keys.save_organization(tx, keys.OrganizationRow("org_people", "People", now))
        for email in emails:
            user = users.UserRow(new_id("user"), email, now, None, "en", digest, now, "active", now, now, 1)
            await users.save_user(tx, user)
            await make_person_key(tx, sealer, user.id)
            await members.save_member(tx, "org_people", user.id, owner=False, now=now)
            await members.assign(tx, "org_people", user.id, "user", by=user.id, now=now)
    return emails


async def _verifying(database: Database, sealer: Sealer, size: Size) -> list[Row]:
    clock, now = SystemClock(), SystemClock().now()
    tokens = Tokens(database, clock, sealer, ISSUER)
    async with database.unscoped() as tx:
        user = await users.find_by_email(tx, "p0@example.com")
        assert user is not None
        session = sessions.SessionRow(
            new_id("ses"), user.id, "org_people", "tokens", None, ["pwd"], "", "", now, now, now, None,
            now + timedelta(days=7),
        )  # fmt: skip
        await sessions.save_session(tx, session)
    token = await tokens.issue(user.id, session.id, "org_people", session.expires_at)
    people = People(database, clock, tokens, 10.0)

    async def look_up() -> None:
        people.forget_session(session.id)
        await people.principal(token)

    signature = await _each(lambda: tokens.verify(token), size.events(VERIFIED))
    remembered = await _each(lambda: people.principal(token), size.events(VERIFIED))
    looked_up = await _each(look_up, size.events(LOOKED_UP), wall=True)
    return [
        Row("identity.token", median(signature) * 1e6, "us CPU", note="a token's signature and claims, the first time"),
        Row("identity.session", percentile(looked_up, 0.99) * 1000, "ms p99", None, 10, "<=", "value",
            note=f"session, person, roles asked of PostgreSQL; p50 {median(looked_up) * 1000:.1f} ms"),
        Row("identity.session.remembered", median(remembered) * 1e6, "us CPU", None, 1000, "<=", "value",
            note="the same token again within a second"),
    ]  # fmt: skip


async def _each(act: Callable[[], Awaitable[Any]], count: int, *, wall: bool = False) -> list[float]:
    """Seconds of each: of this process's CPU, or of the clock on the wall."""
    read = time.perf_counter if wall else time.process_time
    taken = []
    for _ in range(count):
        began = read()
        await act()
        taken.append(read() - began)
    return taken


async def _logging_in(pid: int, port: int, emails: list[str], size: Size) -> list[Row]:
    url, rates, cpu, bare, idle, busy = f"http://127.0.0.1:{port}", [], [], [], [], []
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=200)) as client:
        token = (await _log_in(client, emails[0]))["access_token"]
        for _ in range(min(size.repetitions, ROUNDS)):
            bare.append(await _bare_rate())
            idle += await _probed(client, token, asyncio.sleep(1.0))
            began, used = time.perf_counter(), cpu_s(pid)
            busy += await _probed(client, token, asyncio.gather(*(_log_in(client, email) for email in emails)))
            rates.append(len(emails) / (time.perf_counter() - began))
            cpu.append((cpu_s(pid) - used) / len(emails))
    note = f"{PEOPLE} log-ins at once; limit: the hash alone, as many at once"
    p99 = percentile(busy, 0.99) * 1000
    return [
        Row("identity.login", median(rates), "log-ins/s", median(one.rate for one in bare), 0.6, note=note),
        Row("identity.login.cpu", median(cpu), "CPU-s", median(one.cpu_s for one in bare), 1.3, "<=",
            note="of the API's process, the probes' included; limit: the hash alone"),
        Row("identity.login.others", p99, "ms p99", percentile(idle, 0.99) * 1000, 100, "<=", "value",
            note=f"GET /v1/users/me meanwhile, every {PROBE_EVERY_S * 1000:.0f} ms; limit: the same without log-ins; "
            f"p50 {median(busy) * 1000:.1f} ms"),
    ]  # fmt: skip


async def _log_in(client: aiohttp.ClientSession, email: str) -> dict[str, Any]:
    async with client.post("/v1/auth/login", json={"email": email, "password": PASSWORD}) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = (await answer.json())["data"]
        return found


async def _probed(client: aiohttp.ClientSession, token: str, work: Awaitable[Any]) -> list[float]:
    """How long another route took, asked again and again while the work goes on."""
    headers, taken, doing = {"authorization": f"Bearer {token}"}, [], asyncio.ensure_future(work)
    while not doing.done():
        began = time.perf_counter()
        async with client.get("/v1/users/me", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(PROBE_EVERY_S)
    await doing
    return taken


async def _bare_rate() -> Hashed:
    """Hashes a second, as many at once as a log-in may use, and the CPU of one."""
    passwords, count = Passwords(), 10
    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(count)))
    return Hashed(count / (time.perf_counter() - began), (time.process_time() - used) / count)
