"""Runs one server that must not outlive its parent. Run as a file (`python -I -S leash.py …`): stdlib only.

    leash.py LOCK_FD STOP_SIGNAL GRACE_S COMMAND…

Standard input is a pipe that the parent holds. When it ends (the parent closed it, exited or was killed with
-9), the server gets STOP_SIGNAL and, GRACE_S later, SIGKILL. SIGTERM and SIGINT to the leash do the same;
SIGHUP and SIGQUIT are passed on. LOCK_FD is a file locked with flock: the pids are written into it, and the
server inherits it, so that the lock lasts until the last of its processes is gone. The exit code is the
server's, 128 + n after signal n. On Linux the kernel also stops the server when the leash itself is killed;
macOS has no such call.
"""

import ctypes
import os
import select
import signal
import sys
import time

WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD)
POLL_S = 3600.0
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Run the server to its end; its exit code."""
    lock, stop, grace_s, command = int(arguments[0]), int(arguments[1]), float(arguments[2]), arguments[3:]
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)  # until server and leash each have their own handlers
    signals = _watch_signals()
    leash = os.getpid()
    server = os.fork()
    if server == 0:
        _become_server(command, leash, lock, stop)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{leash} {server}\n".encode(), 0)
    return _hold(server, signals, stop, grace_s)


def _watch_signals() -> int:
    """A descriptor that yields a byte per signal received."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in WATCHED:
        signal.signal(number, lambda _number, _frame: None)
    return reader


def _become_server(command: list[str], leash: int, lock: int, stop: int) -> None:
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, *WATCHED):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, stop)
            if os.getppid() != leash:
                os._exit(1)
        os.set_inheritable(lock, True)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.execv(command[0], command)  # noqa: S606 - the command is ours
    except OSError as error:
        os.write(2, f"ERROR cannot run {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _hold(server: int, signals: int, stop: int, grace_s: float) -> int:
    waiting, deadline = [0, signals], None
    while True:
        left = POLL_S if deadline is None else deadline - time.monotonic()
        if left <= 0:
            os.kill(server, signal.SIGKILL)
            left = POLL_S
        ready = select.select(waiting, [], [], left)[0]
        received = os.read(signals, 512) if signals in ready else b""
        ended, status = os.waitpid(server, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        for number in received:
            if number in (signal.SIGHUP, signal.SIGQUIT):
                os.kill(server, number)
        let_go = 0 in ready and not os.read(0, 512)
        if let_go:
            waiting = [signals]
        if deadline is None and (let_go or signal.SIGTERM in received or signal.SIGINT in received):
            os.kill(server, stop)
            deadline = time.monotonic() + grace_s


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
