"""Which loopback TCP port a server gets."""

import errno
import socket

from infra.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((LOOPBACK, port)) == 0:  # macOS lets a second socket bind: ask whether one answers
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_ports(count: int) -> list[int]:
    """`count` different free loopback ports. They are not reserved: take them at once."""
    probes = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def choose_port(engine: str, fixed: int | None, default: int) -> int:
    """The `fixed` port, or else `default` when it is free, or else any free one.

    Raises: EmbeddedError when the fixed port is taken.
    """
    if fixed is None:
        return default if is_free(default) else free_ports(1)[0]
    if not is_free(fixed):
        raise EmbeddedError(
            f"port {fixed} is taken: {engine} cannot listen there; stop what uses it or choose another port"
        )
    return fixed
