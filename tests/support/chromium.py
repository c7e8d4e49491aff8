"""A real browser, where the machine has one: Chromium without a window, driven over the DevTools protocol."""

import asyncio
import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.support.eventually import eventually

LIMIT_S = 30.0
OPTIONS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",  # nothing leaves the machine
)


@cache
def found() -> str | None:
    """The browser's program, None when the machine has none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass
class Page:
    """One tab; `problems` is what its console complains of."""

    socket: aiohttp.ClientWebSocketResponse
    session: str = ""
    problems: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _waiting: dict[int, "asyncio.Future[dict[str, Any]]"] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def opened(cls, profile: Path) -> AsyncIterator[Self]:
        """An empty tab of a browser of its own, whose profile is this folder."""
        program = found()
        assert program is not None
        options = (*OPTIONS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else []))
        process = await asyncio.create_subprocess_exec(
            program, *options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            written = profile / "DevToolsActivePort"
            await eventually(lambda: written.exists() and len(written.read_text().splitlines()) == 2, within_s=LIMIT_S)
            port, path = written.read_text().splitlines()
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0) as socket,
            ):
                page = cls(socket)
                reading = asyncio.create_task(page._read())
                await page._attach()
                yield page
                reading.cancel()
        finally:
            process.terminate()
            await process.wait()

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command. Raises: AssertionError with its error."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        where = {"sessionId": self.session} if self.session else {}
        await self.socket.send_json({"id": number, "method": method, "params": parameters, **where})
        async with asyncio.timeout(LIMIT_S):
            message = await answer
        assert "error" not in message, (method, message["error"])
        return dict(message["result"])

    async def run(self, script: str) -> Any:
        """What the script gives in the page, awaited. A person is taken to have clicked."""
        given = await self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in given, given["exceptionDetails"]
        return given["result"].get("value")

    async def go(self, url: str) -> None:
        """Opens the address, whatever it redirects to, and waits until all is loaded."""
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def until(self, script: str) -> None:
        """Waits until the script is true; while the page changes it is not."""

        async def true() -> bool:
            try:
                return bool(await self.run(script))
            except AssertionError:
                return False

        await eventually(true, within_s=LIMIT_S)

    async def click(self, element: str) -> None:
        """Clicks on the element of this id."""
        await self.run(f"document.getElementById({element!r}).click()")

    async def authenticator(self) -> None:
        """Plugs in a platform authenticator whose owner always says yes."""
        await self.send("WebAuthn.enable", enableUI=False)
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
        await self.send("WebAuthn.addVirtualAuthenticator", options=options)

    async def _attach(self) -> None:
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")

    async def _read(self) -> None:
        async for raw in self.socket:
            message = raw.json()
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            elif message["method"] == "Log.entryAdded":
                self.problems.append(message["params"]["entry"]["text"])
            elif message["method"] == "Runtime.exceptionThrown":
                self.problems.append(str(message["params"]["exceptionDetails"]))
            elif message["method"] == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
