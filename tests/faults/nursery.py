"""A process that forks roles: everything is imported once, so a killed role is back within milliseconds.

Reads commands from standard input and tells events on standard output, one JSON document a line:

    {"do": "start", "id": 1, "argv": [...], "env": {...}, "out": FILE, "err": FILE, "patches": [...]}
    {"event": "started", "id": 1, "pid": 4711}        {"event": "ended", "id": 1, "code": -9}

Each role is a process of its own that runs `aihub ARGV` as the command line would (`clickhouse` runs the test front).
Nothing outlives its parent: the kernel kills a role with the nursery, and the nursery ends with its standard input.
"""

import ctypes
import gc
import json
import os
import select
import signal
import sys
import traceback
from typing import Any

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serves until standard input ends, then kills what is left."""
    _die_with_parent()
    import infra.app.cli
    import infra.app.commands
    import infra.app.role  # noqa: F401 - imported for the children

    gc.collect()
    gc.freeze()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _tell({"event": "ready"})
    _serve(reader, writer)


def _serve(reader: int, writer: int) -> None:
    children: dict[int, int] = {}
    pending = b""
    while True:
        ready, _, _ = select.select([0, reader], [], [])
        if reader in ready:
            os.read(reader, 512)
        _reap(children)
        if 0 not in ready:
            continue
        read = os.read(0, 65536)
        if not read:
            break
        *lines, pending = (pending + read).split(b"\n")
        for line in lines:
            command = json.loads(line)
            pid = _fork(command, (reader, writer))
            children[pid] = command["id"]
            _tell({"event": "started", "id": command["id"], "pid": pid})
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _reap(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        _tell({"event": "ended", "id": children.pop(pid), "code": os.waitstatus_to_exitcode(status)})


def _tell(event: dict[str, Any]) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


def _fork(command: dict[str, Any], inherited: tuple[int, int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _die_with_parent()
        for descriptor in inherited:
            os.close(descriptor)
        _redirect(command["out"], command["err"])
        os.environ.update(command["env"])
        code = _run(command["argv"], command["patches"])
    except BaseException:  # noqa: BLE001 - the last thing that a child does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(argv: list[str], patches: list[dict[str, Any]]) -> int:
    """Runs the command line in this process; its exit code."""
    from tests.faults.patched import apply

    apply(patches)
    sys.argv = ["aihub", *argv]
    try:
        if argv[0] == "clickhouse":
            sys.argv = ["clickhouse_http", *argv[1:]]
            from tests.support.clickhouse_http import main as front

            front()
        else:
            from infra.app.cli import main as aihub

            aihub()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _redirect(out: str, err: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for name, number in ((out, 1), (err, 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
