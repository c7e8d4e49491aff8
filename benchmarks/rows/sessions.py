"""`GET /v1/auth/verify-session` on `aihub run api`: 50 sessions, 200 requests a second; every other is a health probe.

The probe, which looks nothing up, is what the machine and the server cost meanwhile.
"""

import asyncio
import time
from datetime import timedelta
from typing import Final

import aiohttp

from benchmarks.measure import Size, percentile
from benchmarks.processes import cpu_s
from benchmarks.report import Row
from benchmarks.world import SECRET, World, api_process
from infra.clock import SystemClock
from infra.crypto import hash_secret, new_secret
from infra.ids import new_id
from infra.postgres import keys, members, sessions, users
from infra.postgres.database import Database

SESSIONS: Final = 50
CONCURRENCY: Final = 8
RATE: Final = 400
REQUESTS: Final = 8_000
WARM: Final = 400


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    kafka, dsn = await world.kafka(), await world.database()
    tokens = await _sessions(dsn)
    requests = size.events(REQUESTS)
    async with api_process(world, kafka, dsn) as (pid, port):
        url = f"http://127.0.0.1:{port}"
        await _ask(url, tokens, WARM)
        before = cpu_s(pid)
        took, probes = await _ask(url, tokens, requests)
        cpu = (cpu_s(pid) - before) / requests * 1000
    p50 = [percentile(one, 0.5) * 1000 for one in (took, probes)]
    note = f"{SESSIONS} sessions, {RATE // 2} a second; p50 {p50[0]:.1f} ms; limit: /health/live, p50 {p50[1]:.1f} ms"
    p99, limit = (percentile(one, 0.99) * 1000 for one in (took, probes))
    return [
        Row("session.verify", p99, "ms p99", limit, 10, "<=", "value", note),
        Row("session.verify.cpu", cpu, "CPU-s per 1,000", note="of the API's process, both halves"),
    ]


async def _ask(url: str, tokens: list[str], requests: int) -> tuple[list[float], list[float]]:
    """Seconds of each request for a session, and of each probe."""
    took: tuple[list[float], list[float]] = ([], [])
    paths, start = ("/v1/auth/verify-session", "/health/live"), time.perf_counter()

    async def one_after_another(client: aiohttp.ClientSession, first: int) -> None:
        for number in range(first, requests, CONCURRENCY):
            await asyncio.sleep(start + number / RATE - time.perf_counter())
            kind, token = number % 2, tokens[number // 2 % len(tokens)]
            began = time.perf_counter()
            async with client.get(url + paths[kind], headers={"X-Session-Token": token}) as answer:
                await answer.read()
                assert answer.status == 200, answer.status
            took[kind].append(time.perf_counter() - began)

    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as tasks:
        for first in range(CONCURRENCY):
            tasks.create_task(one_after_another(client, first))
    return took


async def _sessions(dsn: str) -> list[str]:
    """The tokens of fresh sessions, each of a person of its own."""
    database, now, tokens = Database.open(dsn), SystemClock().now(), []
    async with database.transaction() as tx:
        await keys.save_organization(tx, keys.OrganizationRow("org_chat", "Chat", now))
        for _ in range(SESSIONS):
            user_id, token = new_id("user"), new_secret()
            await users.save_user(
                tx, users.UserRow(user_id, f"{user_id}@example.com", now, None, "en", None, None, "active", now, now, 1)
            )
            await members.save_member(tx, "org_chat", user_id, owner=False, now=now)
            digest = hash_secret(token, SECRET.encode(), "verified_session")
            session = sessions.SessionRow(
                new_id("ses"), user_id, "org_chat", "verified_code", digest, ["fed"], "", "", now, now, now, None,
                now + timedelta(days=7),
            )  # fmt: skip
            await sessions.save_session(tx, session)
            tokens.append(token)
    await database.close()
    return tokens
