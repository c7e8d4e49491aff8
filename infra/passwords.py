"""Passwords: argon2id (RFC 9106) in threads of their own, never on the event loop."""

import asyncio
import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from contracts.errors import Overloaded

T = TypeVar("T")

MAX_WAITING: Final = 200
"""Who comes when so many wait is told to try again: a queue without end helps only whoever floods it."""
NICENESS: Final = 5
"""The hashing threads give way to the event loop when both want the same core."""


@dataclass(frozen=True, slots=True)
class HashOptions:
    """What one hash costs: 64 MiB and 3 rounds in one lane is RFC 9106's second choice, without its four threads."""

    memory_kib: int = 65_536
    rounds: int = 3
    at_once: int = 2


class Passwords:
    """Makes and checks hashes, `at_once` at a time; the others wait in order."""

    def __init__(self, options: HashOptions | None = None) -> None:
        options = options or HashOptions()
        hasher = Argon2Hasher(time_cost=options.rounds, memory_cost=options.memory_kib, parallelism=1)
        self._hasher = PasswordHash((hasher,))
        self._at_once = asyncio.Semaphore(options.at_once)
        self._threads = ThreadPoolExecutor(options.at_once, "argon2", initializer=_give_way)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The hash with its parameters and salt (PHC string format). Raises: Overloaded."""
        return await self._work(functools.partial(self._hasher.hash, password))

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether it fits, and a new hash when it does and the parameters have changed since.

        Without a stored hash (nobody has this name, or no password) it takes as long, and does not fit.
        Raises: Overloaded.
        """
        if stored is None:
            await self._work(functools.partial(self._hasher.hash, password))
            return False, None
        return await self._work(functools.partial(self._hasher.verify_and_update, password, stored))

    async def _work(self, job: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Overloaded("Too many log-ins at once; try again in a moment.")
        self._waiting += 1
        try:
            async with self._at_once:
                return await asyncio.get_running_loop().run_in_executor(self._threads, job)
        finally:
            self._waiting -= 1


@functools.cache
def common_passwords() -> frozenset[str]:
    """Passwords that are guessed first, in lower case: the 30,000 of zxcvbn's list."""
    return frozenset(one.casefold() for one in FREQUENCY_LISTS["passwords"])


def _give_way() -> None:
    """On Linux a thread has a niceness of its own; elsewhere it would be the process's, which stays as it is."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
