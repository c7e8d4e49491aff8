"""A client of the hub's own API: what the demo and the importer speak."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from contracts.envelope import BATCH_CONTENT_TYPE
from contracts.errors import AihubError, Unavailable

REQUEST_TIMEOUT_S: Final = 30.0
RETRY_FOR_S: Final = 120.0


class HubRefused(AihubError):
    """The hub answered with an error that a retry will not mend; `status` is the answer's."""

    code = "hub_refused"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the hub answered {status}: {message}")
        self.answered = status


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a batch: results per event, in order, as the API gives them."""

    results: list[dict[str, Any]]

    def count(self, status: str) -> int:
        """How many events ended as accepted, duplicate or rejected."""
        return sum(result["status"] == status for result in self.results)


class HubClient:
    """Talks to one hub with one API key; retries what is safe to send again (events have identities)."""

    def __init__(self, url: str, api_key: str, *, connections: int = 8) -> None:
        self._url = url.rstrip("/")
        self._key = api_key
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._key}"},
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def send(self, events: Sequence[dict[str, Any]]) -> Sent:
        """Sends up to 1,000 events; the answer comes when the broker has them.

        Waits and sends again while the hub is away or answers 429/503, for two minutes.
        Raises: HubRefused, Unavailable.
        """
        body = orjson.dumps(events)
        answer = await self._retried("POST", "/v1/events", body, BATCH_CONTENT_TYPE)
        return Sent(answer["data"]["results"])

    async def use(self, usage: dict[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The answer to one use as plain JSON, sent once. Raises: HubRefused, Unavailable."""
        return await self.once("POST", "/v1/usage", orjson.dumps(usage), "application/json", headers)

    async def get(self, path: str) -> dict[str, Any]:
        """The JSON answer of a GET. Raises: HubRefused, Unavailable."""
        return await self._retried("GET", path)

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON answer of a POST. Raises: HubRefused, Unavailable."""
        return await self._retried("POST", path, orjson.dumps(body), "application/json")

    async def delete(self, path: str) -> None:
        """Deletes; returns when it is gone. Raises: HubRefused, Unavailable."""
        await self._retried("DELETE", path)

    async def _retried(
        self, method: str, path: str, body: bytes | None = None, content_type: str | None = None
    ) -> dict[str, Any]:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential_jitter(multiplier=0.1, max=5),
            stop=stop_after_delay(RETRY_FOR_S),
            reraise=True,
        ):
            with attempt:
                return await self.once(method, path, body, content_type)
        raise AssertionError("unreachable: the retry either returns or raises")

    async def once(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str | None = None,
        more: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON answer, asked for once; `more` are further headers. Raises: HubRefused, Unavailable."""
        assert self._session is not None, "use `async with HubClient(...)`"
        headers = {**({"Content-Type": content_type} if content_type else {}), **(more or {})}
        try:
            async with self._session.request(method, self._url + path, data=body, headers=headers) as answer:
                raw = await answer.read()
                status = answer.status
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            raise Unavailable(f"the hub at {self._url} does not answer ({type(error).__name__})") from None
        if status in (429, 503):
            raise Unavailable(f"the hub is busy ({status})")
        if status >= 400 and not (status == 422 and b'"results"' in raw):
            raise HubRefused(status, _message(raw))
        parsed: dict[str, Any] = orjson.loads(raw) if raw else {}
        return parsed


def _message(raw: bytes) -> str:
    try:
        return str(orjson.loads(raw)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return raw[:200].decode(errors="replace")
