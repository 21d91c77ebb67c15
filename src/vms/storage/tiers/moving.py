"""What is being moved right now, remembered on the volume, so that an end in the middle leaves nothing behind.

Belongs here: the note of each copy that was begun. Does not: copying (mover), what was moved (catalog).
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from vms.storage.disk import fsync_directory
from vms.telemetry.logs import get_logger

NOTES_NAME = "vms-moving.json"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """A copy of a recording into `tier` was begun. name: relative to the volume."""

    segment_id: UUID
    name: str
    tier: str


class MovingNotes:
    """The notes of one volume; used by one thread at a time. A note is durable before its copy begins."""

    def __init__(self, volume: Path) -> None:
        self._path = volume / NOTES_NAME
        self._begun: list[Begun] = []

    def read(self) -> list[Begun]:
        """What an earlier life began and did not end. A file that is damaged tells nothing. Raises OSError."""
        try:
            tree = json.loads(self._path.read_bytes())
            self._begun = [Begun(UUID(each["id"]), str(each["name"]), str(each["tier"])) for each in tree]
        except FileNotFoundError:
            self._begun = []
        except (ValueError, KeyError, TypeError) as error:
            log.warning(
                "the notes of what was being moved are damaged", path=str(self._path), reason=str(error)
            )
            self._begun = []
        return list(self._begun)

    def add(self, begun: Begun) -> None:
        """Harmless when it is there. Raises OSError."""
        if begun not in self._begun:
            self._write([*self._begun, begun])

    def drop(self, begun: Begun) -> None:
        """Raises OSError."""
        self._write([each for each in self._begun if each != begun])

    def _write(self, begun: list[Begun]) -> None:
        temporary = self._path.with_name(NOTES_NAME + ".new")
        tree = [{"id": str(each.segment_id), "name": each.name, "tier": each.tier} for each in begun]
        with temporary.open("wb") as file:
            file.write(json.dumps(tree).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        fsync_directory(self._path.parent)
        self._begun = begun
