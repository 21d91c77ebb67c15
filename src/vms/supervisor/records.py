"""Which processes run, written down so that the next supervisor, and processes that lost theirs, can tell.

``run/processes.json`` is replaced at each start and end of a process. Numbers of processes mean nothing after the
machine was started again, so the file carries the machine's boot id.

Belongs here: the file. Does not: adopting (supervisor).
"""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from vms.common.process_identity import boot_id, start_ticks

NAME = "processes.json"


@dataclass(frozen=True, slots=True)
class Record:
    """A process: what it was started from (WorkerPlan.fingerprint), and how often before."""

    worker: str
    role: str
    pid: int
    start_ticks: int
    stop_order: int
    fingerprint: str
    restarts: int

    def runs(self) -> bool:
        return start_ticks(self.pid) == self.start_ticks


def read(run_dir: Path) -> list[Record]:
    """What was written last since the machine was started; empty when that cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        tree = json.loads((run_dir / NAME).read_text(encoding="utf-8"))
        if tree["boot"] == boot_id():
            return [Record(**entry) for entry in tree["processes"]]
    return []


def write(run_dir: Path, records: Iterable[Record]) -> None:
    """Replace what was written. Raises OSError. Not synced: after a power cut it says nothing anyway."""
    tree = {"boot": boot_id(), "processes": [asdict(record) for record in records]}
    new = run_dir / f"{NAME}.new"
    new.write_text(json.dumps(tree, indent=1), encoding="utf-8")
    new.chmod(0o600)
    new.replace(run_dir / NAME)
