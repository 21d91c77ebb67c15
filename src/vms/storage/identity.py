"""Which disk is which: a volume's identity file, and the memory of which volume a path was.

A path whose disk is not mounted looks like an empty directory, and recording into it would fill the system
disk. The identity file in each volume, and what is remembered beside the configuration, tell the two apart.

Belongs here: recognising volumes. Does not: who may use them (owner), using them (volume).
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from vms.storage.disk import fsync_directory
from vms.storage.errors import VolumeUnavailable
from vms.storage.layout import IDENTITY_NAME


@dataclass(frozen=True, slots=True)
class KnownVolume:
    """What is remembered of a path: which volume it was, and where the file system on which it lay was mounted.

    mount: "" where an older version remembered that it was no mount point itself, and no more.
    """

    id: str
    mount: str


class KnownVolumes:
    """Remembers volumes in a small JSON file outside of them; in memory alone when `path` is None.

    Several processes may share the file.
    """

    def __init__(self, path: Path | None) -> None:
        """Raises VolumeUnavailable when the file is damaged."""
        self._path = path
        self._known: dict[str, KnownVolume] = {}
        self._claims: dict[tuple[int, int], Path] = {}
        if path is not None:
            self._known = _load(path)

    def get(self, volume: Path) -> KnownVolume | None:
        return self._known.get(str(volume.absolute()))

    def remember(self, volume: Path, known: KnownVolume) -> None:
        """Raises VolumeUnavailable when the file is damaged, OSError from the disk."""
        if self.get(volume) == known:
            return
        if self._path is None:
            self._known[str(volume.absolute())] = known
            return
        with _alone(self._path):
            self._known = _load(self._path) | {str(volume.absolute()): known}
            tree = {key: asdict(value) for key, value in self._known.items()}
            write_durably(self._path, json.dumps(tree, indent=2).encode())

    def claim(self, directory: tuple[int, int], volume: Path) -> None:
        """Note that this process uses a directory as `volume`; two paths to one raise VolumeUnavailable."""
        claimed = self._claims.setdefault(directory, volume)
        if claimed != volume:
            raise VolumeUnavailable(volume, f"is the same directory as {claimed}: configured twice")

    def release(self, volume: Path) -> None:
        """Note that `volume` is not used any more."""
        for directory in [key for key, claimed in self._claims.items() if claimed == volume]:
            self._claims.pop(directory, None)


def make_directory(volume: Path, known: KnownVolumes) -> None:
    """Make the directory where there is none.

    Raises VolumeUnavailable when a disk that used to be mounted there is not; OSError from the disk.
    """
    before = known.get(volume)
    missing = before is not None and before.mount and not os.path.ismount(before.mount)
    if missing and not (volume / IDENTITY_NAME).exists():
        assert before is not None
        reason = f"the disk that belongs here is not mounted at {before.mount}; mount it"
        raise VolumeUnavailable(volume, reason, kind="gone")
    volume.mkdir(parents=True, exist_ok=True)


def identify(volume: Path, known: KnownVolumes) -> tuple[UUID, bool]:
    """The id of the volume at `volume`, and whether it is not the one that was there before.

    Makes its identity file where there is none; so only one process at a time (owner). Raises VolumeUnavailable
    when a disk that used to be mounted there is not, or the identity file is damaged; OSError from the disk.
    """
    make_directory(volume, known)
    before = known.get(volume)
    file = volume / IDENTITY_NAME
    found = read_identity(volume)
    if found is None:
        found = uuid4()
        write_durably(file, json.dumps({"id": str(found), "format": 1}).encode())
    changed = before is not None and before.id != str(found)
    known.remember(volume, KnownVolume(str(found), str(mount_of(volume))))
    return found, changed


def mount_of(volume: Path) -> Path:
    """Where the file system is mounted on which a directory lies."""
    path = volume.resolve()
    while not os.path.ismount(path):
        path = path.parent
    return path


def read_identity(volume: Path) -> UUID | None:
    """The id of the volume at `volume`; None where there is no identity file.

    Raises VolumeUnavailable when it is damaged, OSError from the disk.
    """
    try:
        return UUID(json.loads((volume / IDENTITY_NAME).read_bytes())["id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise VolumeUnavailable(
            volume, f"{IDENTITY_NAME} is damaged ({error}); restore it, or remove it to adopt the directory"
        ) from error


def _load(path: Path) -> dict[str, KnownVolume]:
    try:
        tree = json.loads(path.read_text())
        return {key: _known(key, value) for key, value in tree.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise VolumeUnavailable(
            path, f"is damaged ({error}); remove it to accept the volumes as they are"
        ) from error


def _known(volume: str, value: Mapping[str, Any]) -> KnownVolume:
    """mounted: what older versions say instead of mount."""
    mount = value.get("mount", volume if value.get("mounted") else "")
    return KnownVolume(str(value["id"]), str(mount))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While other processes wait to change the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Replace a small file as a whole, durably. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_directory(path.parent)
