"""Runs a command as another user than root. Run as a file (`python -I -S unroot.py UID GID COMMAND…`): stdlib only.

PostgreSQL refuses to run as root, and neither its programs nor the data directory need be reachable for
another user (/root is 0700). Instead of opening those directories to everybody, the command keeps the one
capability to pass through directories (capabilities(7): ambient set). Linux only.
"""

import ctypes
import os
import struct
import sys

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2
CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Become the user and run the command; does not return."""
    uid, gid, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    kept = _capability_to_keep()
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)  # from root, these two set the real, effective and saved ids
    os.setuid(uid)
    if kept is not None:
        mask = 1 << kept
        header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
        libc.capset(header, struct.pack("6I", mask, mask, mask, 0, 0, 0))
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept, 0, 0)
    os.execv(command[0], command)  # noqa: S606 - the command is ours


def _capability_to_keep() -> int | None:
    """The smaller one of the two that root holds here (containers often lack the first)."""
    with open("/proc/self/status") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if effective >> capability & 1:
            return capability
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
