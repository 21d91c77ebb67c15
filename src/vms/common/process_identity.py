"""Which process a number means: numbers are used again, the pair of number and start time is not.

Belongs here: reading /proc. Does not: waiting for processes, ending them (vms.supervisor).
"""

from pathlib import Path

_STATE = 0  # proc(5), the fields of stat behind the name
_START_TIME = 19


def start_ticks(pid: int) -> int | None:
    """Clock ticks from the machine's start to that of process `pid`; None when it does not run (any more).

    A process that ended and was not reaped yet (a zombie) does not run.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE] in (b"Z", b"X") else int(fields[_START_TIME])


def boot_id() -> str:
    """Another one after each start of the machine; "" where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
