"""How many processes of a role suit this machine.

Belongs here: cores and the rule. Does not: the configuration's shape (vms.config).
"""

import os
from pathlib import Path
from typing import Literal

MOST = 8
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def count(role: str, wanted: int | Literal["auto"], cores: int) -> int:
    """How many processes of `role` to run; "auto": half the cores, 1 to 8, for those that carry media, else 1."""
    if wanted != "auto":
        return wanted
    return min(max(cores // 2, 1), MOST) if role in {"media", "stream"} else 1


def usable_cores(own_cgroup: Path = OWN_CGROUP, cgroups: Path = CGROUPS) -> int:
    """Cores that this process may use: its affinity, cut by the CPU quota of its cgroup (v2) and of those above it."""
    return max(1, min([len(os.sched_getaffinity(0)), *_quotas(own_cgroup, cgroups)]))


def _quotas(own_cgroup: Path, cgroups: Path) -> list[int]:
    try:
        lines = own_cgroup.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if own is None:
        return []  # cgroup v1 alone
    relative = Path(own.strip("/"))
    found = (_quota(cgroups / group / "cpu.max") for group in (relative, *relative.parents))
    return [cores for cores in found if cores is not None]


def _quota(path: Path) -> int | None:
    """Whole cores of a ``cpu.max`` ("max 100000", "150000 100000"); None where there is no limit."""
    try:
        quota, period = path.read_text(encoding="ascii").split()
        return int(quota) // int(period)
    except (OSError, ValueError):
        return None
