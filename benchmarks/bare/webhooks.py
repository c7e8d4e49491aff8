"""The limit of webhooks: an aiohttp client that signs and posts the same bodies, and stores nothing."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import aiohttp
from standardwebhooks import Webhook


async def post_all(urls: Sequence[str], secret: str, bodies: Sequence[str], concurrency: int) -> float:
    """Posts every body, dealt out over the URLs, so many at once; seconds. Raises: when one is refused."""
    numbers = iter(range(len(bodies)))
    signer = Webhook(secret)

    async def work(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            now, name, body = datetime.now(UTC), f"msg_{number:032x}", bodies[number]
            headers = {
                "Content-Type": "application/json",
                "webhook-id": name,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": signer.sign(name, now, body),
            }
            async with session.post(urls[number % len(urls)], data=body.encode(), headers=headers) as answer:
                await answer.read()
                answer.raise_for_status()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began = time.monotonic()
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
        return time.monotonic() - began
