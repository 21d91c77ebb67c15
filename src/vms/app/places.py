"""Where the processes of one machine find each other and keep what is theirs, below the data directory.

Belongs here: paths and names. Does not: what lies there.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from vms.bus.server import ADDRESS_FILE

RENDER = "render-0"
"""The one worker that decodes recordings."""
TRANSCODE = "transcode-0"
"""The one worker that transcodes live streams."""
QUIC = "quic-0"
"""The one worker that serves WebTransport."""
SRT = "srt-0"
"""The one worker in which the SRT library runs."""


@dataclass(frozen=True, slots=True)
class Places:
    """data_dir: of the system. Names of workers are ``media-0``, ``keeper-1``, ``supervisor``, …"""

    data_dir: Path

    @property
    def run(self) -> Path:
        """What lives as long as the processes do: sockets, who runs."""
        return self.data_dir / "run"

    def control(self, worker: str) -> Path:
        """The control socket of a process."""
        return self.run / f"{worker}.sock"

    def relay(self, worker: str) -> Path:
        """Where a media process serves its hubs."""
        return self.run / f"{worker}.rtsp"

    def snapshot(self, worker: str) -> Path:
        """What a media process has to do, in its own copy."""
        return self.data_dir / "assignments" / f"{worker}.snapshot"

    def outbox(self, worker: str) -> Path:
        """Events that were not delivered yet."""
        return self.data_dir / "events" / f"{worker}.outbox"

    @property
    def journal(self) -> Path:
        """What happened, for whoever asks."""
        return self.data_dir / "events" / "journal.sqlite"

    @property
    def bus_address(self) -> Path:
        """Where the system's own message server listens, and the credentials for it."""
        return self.run / ADDRESS_FILE

    @property
    def bus_store(self) -> Path:
        """What the message server keeps."""
        return self.data_dir / "bus"

    @property
    def known_volumes(self) -> Path:
        """Which disk belongs where."""
        return self.data_dir / "volumes.json"

    @property
    def webtransport(self) -> Path:
        """Where WebTransport is served, and with which certificates."""
        return self.run / "webtransport.json"

    @property
    def srt(self) -> Path:
        """Where the SRT worker hands media processes what encoders send."""
        return self.run / f"{SRT}.media"

    def controls(self) -> Iterator[tuple[str, Path]]:
        """The name and control socket of every process that has one."""
        for path in sorted(self.run.glob("*.sock")):
            yield path.stem, path

    def system_id(self) -> str:
        """What tells this system from every other that might use the same volumes; made at first use."""
        return _kept_text(self.data_dir / "system-id", lambda: str(uuid4()))

    def node(self) -> str:
        """This machine's name in assignments: that of its first start, since a container has another each time."""
        return _kept_text(self.data_dir / "node", _host_name)

    def make(self) -> None:
        """Make the directories that processes write into. Raises OSError."""
        self.run.mkdir(mode=0o700, exist_ok=True)
        (self.data_dir / "assignments").mkdir(mode=0o700, exist_ok=True)
        (self.data_dir / "events").mkdir(mode=0o700, exist_ok=True)


def index_of(worker: str) -> int:
    """``2`` of ``media-2``."""
    return int(worker.rpartition("-")[2])


def _host_name() -> str:
    return socket.gethostname().partition(".")[0].lower() or "node"


def _kept_text(path: Path, fresh: Callable[[], str]) -> str:
    """What the file holds; what `fresh` gives is written to it when there is none. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    own = path.with_name(f"{path.name}.{os.getpid()}")
    own.write_text(f"{fresh()}\n")
    with contextlib.suppress(FileExistsError):
        os.link(own, path)  # whoever is first decides
    own.unlink()
    return path.read_text().strip()
