"""What the supervisor is to run: a plan a process, and the times that it keeps.

Belongs here: values. Does not: running them (worker, supervisor).
"""

import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Ready = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One process.

    env: what is added to the supervisor's own environment.
    fds: descriptors to inherit, by name; the worker finds them with `child.Seat.take`.
    stop_order: those with lower numbers are stopped first, those with the same number together.
    stop_s: how long it may take to end; then it is killed.
    control: its control socket; None for a program that is not ours. Such a one knows no lifeline and is told by the
        kernel when all others have gone (foreign).
    prepare: called before each start; what it raises counts as a start that failed.
    ready: for one without a control socket, whether it works; asked every second. Its False counts as silence.
    """

    role: str
    worker: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    fds: Mapping[str, int] = field(default_factory=dict)
    stop_order: int = 0
    stop_s: float = 10.0
    control: Path | None = None
    prepare: Callable[[], None] = lambda: None
    ready: Ready | None = None

    def fingerprint(self) -> str:
        """The same for a process that need not be started anew; a descriptor counts as what it refers to.

        Raises OSError for a descriptor that is closed.
        """
        files = {name: os.fstat(number) for name, number in self.fds.items()}
        what = [
            self.role,
            self.argv,
            sorted(self.env.items()),
            sorted((name, file.st_dev, file.st_ino) for name, file in files.items()),
            str(self.control),
        ]
        return hashlib.blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Timings:
    """poll_s: between two questions to a worker, each of which may take as long.

    watchdog_s: a worker that was silent for so long is killed; one that has not spoken yet, after start_s.
    ready_s: how long a restart of many waits for one before it gives up on the rest.
    again_s: before a process is started again; from the third life in a row that was shorter than young_s on,
    backoff_first_s doubling to backoff_longest_s.
    """

    poll_s: float = 1.0
    watchdog_s: float = 15.0
    start_s: float = 60.0
    ready_s: float = 30.0
    again_s: float = 0.05
    young_s: float = 10.0
    backoff_first_s: float = 0.5
    backoff_longest_s: float = 30.0
