"""A network of the run's own, in which an engine can be cut off at a word: a namespace with nothing but a loopback.

Routing rules make the cut: packets to the engine's port go nowhere. Connections that are open stay so and say nothing
any more, as when a cable is pulled; new ones find no route.
"""

import contextlib
import ctypes
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

CLONE_NEWNET: Final = 0x40000000
_LOCAL, _CUT = "100", "10"
"""Places of the rules: the cut stands before the rule for the machine's own addresses, which comes first otherwise."""


@functools.cache
def why_not() -> str:
    """Why there is no such network here; empty where there is."""
    if sys.platform != "linux":
        return "only Linux has network namespaces"
    if os.geteuid() != 0:
        return "only root may make a network namespace"
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    rule = "ip link set lo up && ip rule add pref 10 ipproto tcp dport 1 unreachable"
    tried = subprocess.run(["unshare", "--net", "sh", "-c", rule], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no network namespace can be made here: {tried.stderr.strip()}"


def isolate() -> None:
    """This process and its children have a network of their own from now on; to be called before there are threads.

    Nothing outside can be reached any more, a package registry neither.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace of its own")
    _ip("link", "set", "lo", "up")
    _ip("rule", "add", "pref", _LOCAL, "lookup", "local")
    _ip("rule", "del", "pref", "0")


@contextlib.contextmanager
def cut_off(port: int) -> Iterator[None]:
    """Nothing reaches this port until the block ends."""
    _ip("rule", "add", "pref", _CUT, "ipproto", "tcp", "dport", str(port), "unreachable")
    try:
        yield
    finally:
        _ip("rule", "del", "pref", _CUT, "ipproto", "tcp", "dport", str(port))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
