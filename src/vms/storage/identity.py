"""Which disk is which: a volume's identity file, and the memory of which volume a path was.

A path whose disk is not mounted looks like an empty directory, and recording into it would fill the system
disk. The identity file in each volume, and what is remembered beside the configuration, tell the two apart.

Belongs here: recognising volumes. Does not: using them (volume).
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID, uuid4

from vms.storage.disk import fsync_directory
from vms.storage.errors import VolumeUnavailable
from vms.storage.layout import IDENTITY_NAME


@dataclass(frozen=True, slots=True)
class KnownVolume:
    """What is remembered of a path: whose volume it was, and whether a disk was mounted there."""

    id: str
    mounted: bool


class KnownVolumes:
    """Remembers volumes in a small JSON file outside of them; in memory alone when `path` is None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, KnownVolume] = {}
        if path is not None and path.exists():
            try:
                tree = json.loads(path.read_text())
                self._known = {key: KnownVolume(**value) for key, value in tree.items()}
            except (ValueError, TypeError, AttributeError) as error:
                raise VolumeUnavailable(
                    path, f"is damaged ({error}); remove it to accept the volumes as they are"
                ) from error

    def get(self, volume: Path) -> KnownVolume | None:
        return self._known.get(str(volume.absolute()))

    def remember(self, volume: Path, known: KnownVolume) -> None:
        if self.get(volume) == known:
            return
        self._known[str(volume.absolute())] = known
        if self._path is not None:
            tree = {key: asdict(value) for key, value in self._known.items()}
            _write_durably(self._path, json.dumps(tree, indent=2).encode())


def identify(volume: Path, known: KnownVolumes) -> tuple[UUID, bool]:
    """The id of the volume at `volume`, and whether it is new or not the one that was there before.

    Makes the directory and its identity file where there is none. Raises VolumeUnavailable when a
    disk that used to be mounted there is not, or the identity file is damaged; OSError from the disk.
    """
    before = known.get(volume)
    file = volume / IDENTITY_NAME
    if before is not None and before.mounted and not os.path.ismount(volume) and not file.exists():
        raise VolumeUnavailable(volume, "the disk that belongs here is not mounted; mount it")
    volume.mkdir(parents=True, exist_ok=True)
    try:
        found = UUID(json.loads(file.read_bytes())["id"])
    except FileNotFoundError:
        found = uuid4()
        _write_durably(file, json.dumps({"id": str(found), "format": 1}).encode())
    except (ValueError, KeyError, TypeError) as error:
        raise VolumeUnavailable(
            volume, f"{IDENTITY_NAME} is damaged ({error}); restore it, or remove it to adopt the directory"
        ) from error
    changed = before is not None and before.id != str(found)
    known.remember(volume, KnownVolume(str(found), os.path.ismount(volume)))
    return found, changed


def _write_durably(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_directory(path.parent)
