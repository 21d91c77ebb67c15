"""A tier that is a directory: another disk, or a share of the network (NFS, SMB).

It needs nothing of a share that shares do badly: no locks, no memory maps. A copy is written under another name, synced,
read back, and only then gets its name.

A share that is not mounted looks like an empty directory, and copying into it would fill the system disk. So the
tier has an identity file, and the volume remembers which tier was there.

Belongs here: files in a directory. Does not: which files (mover), how long a caller waits for a dead share (reading).
"""

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

from vms.common.clock import NS
from vms.config import TierConfig
from vms.storage import disk
from vms.storage.body import Body, PlainBody
from vms.storage.layout import is_camera_directory, is_day_directory, is_recording_name
from vms.storage.tiers.errors import CopyDiffers, TierUnavailable, from_os_error
from vms.storage.tiers.store import CHUNK_BYTES, Pace, Source, StoredFile

_memories = threading.Lock()  # held while one is changed, and never while a share is asked
IDENTITY_NAME = "vms-tier.json"
MEMORY_NAME = "vms-tiers.json"
"""On the volume: which tiers its recordings were moved to."""


class DirectoryTier:
    """Implements TierStore below a directory. Every method raises TierUnavailable, also when the share is not mounted."""

    kind = "directory"

    def __init__(self, config: TierConfig, volume_id: UUID, memory: Path) -> None:
        """memory: the file on the volume that remembers which tier is which; it is made when it is needed."""
        assert config.path is not None
        path = config.path
        self.name = config.name
        self.after_ns = round(config.after * NS)
        self.quota_bytes = config.quota
        self._path = path.absolute()
        self._root = self._path / str(volume_id)
        self._memory = memory
        self._lock = threading.Lock()

    def put_file(self, name: str, body: Body, pace: Pace | None = None) -> int:
        """See TierStore."""
        source = Source(body, pace)
        with self._typed():
            self._recognise(adopt=True)
            target = self._root / name
            self._make_directories(target.parent)
            for left in _partials(target):
                left.unlink(missing_ok=True)
            # Its own name: a copy that hung in a share whose server was away may go on beside this one.
            partial = target.with_name(f".{target.name}.{os.urandom(4).hex()}.new")
            copy = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640)
        try:
            self._write(copy, source)
            with self._typed():
                partial.replace(target)
                _sync_directory(target.parent)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        finally:
            with suppress(
                OSError
            ):  # shares report late errors here; what was written was synced and read back
                os.close(copy)
        return source.size_bytes

    def open(self, name: str) -> PlainBody:
        """See TierStore."""
        try:
            return PlainBody(os.open(self._root / name, os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            self.check()  # a share that is not mounted has no files
            raise
        except OSError as error:
            raise from_os_error(self.name, error) from error

    def delete(self, names: Sequence[str]) -> None:
        """See TierStore."""
        self.check()
        paths = [self._root / name for name in names]
        with self._typed():
            for path in paths:
                path.unlink(missing_ok=True)
                for left in _partials(path):
                    left.unlink(missing_ok=True)
            for directory in {path.parent for path in paths}:
                if directory.exists():
                    _sync_directory(directory)
                    self._remove_empty(directory)

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """See TierStore; in order of their names."""
        self.check()
        with self._typed():
            for camera in _directories(self._root):
                if not is_camera_directory(camera) or not _may_begin(f"{camera}/", prefix):
                    continue
                for day in _directories(self._root / camera):
                    if is_day_directory(day) and _may_begin(f"{camera}/{day}/", prefix):
                        yield from self._files(f"{camera}/{day}", prefix)

    def check(self) -> None:
        """See TierStore. A tier that was never used is none that fails, whether or not its directory is there."""
        with self._typed():
            self._recognise(adopt=False)

    def close(self) -> None:
        """See TierStore."""

    # -- private ----------------------------------------------------------------------------------------

    def _write(self, copy: int, source: Source) -> None:
        """Raises SourceUnreadable, TierUnavailable."""
        offset = 0
        for chunk in source.chunks():
            with self._typed():
                disk.write_all(copy, [chunk], offset)
            offset += len(chunk)
        with self._typed():
            os.fsync(copy)
            os.posix_fadvise(copy, 0, 0, os.POSIX_FADV_DONTNEED)  # what is read back comes from the disk
            written = hashlib.sha256()
            offset = 0
            while chunk := os.pread(copy, CHUNK_BYTES, offset):
                written.update(chunk)
                offset += len(chunk)
        if written.digest() != source.digest:
            raise CopyDiffers(self.name, "a copy is not what was written; check the disk or the share")

    def _make_directories(self, directory: Path) -> None:
        """A missing tier stays missing."""
        missing = []
        while directory != self._path and not directory.exists():
            missing.append(directory)
            directory = directory.parent
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            _sync_directory(path.parent)

    def _remove_empty(self, directory: Path) -> None:
        while directory != self._root:
            try:
                directory.rmdir()
            except OSError:  # not empty, as most are
                return
            directory = directory.parent

    def _files(self, directory: str, prefix: str) -> Iterator[StoredFile]:
        with os.scandir(self._root / directory) as entries:
            found = sorted((entry.name, entry.stat().st_size) for entry in entries)
        for name, size_bytes in found:
            full = f"{directory}/{name}"
            if is_recording_name(full) and full.startswith(prefix):
                yield StoredFile(full, size_bytes)

    def _recognise(self, *, adopt: bool) -> None:
        """Whether this is the tier that was here before; `adopt`: it becomes one when none was. Raises OSError."""
        known, found = self._remembered().get(self.name), self._identity()
        if found is None and known is not None:
            raise TierUnavailable(
                self.name, f"the disk or share that belongs at {self._path} is not mounted; mount it"
            )
        if found is not None and known is not None and found != known:
            raise TierUnavailable(
                self.name,
                f"{self._path} is another tier than the one that recordings were moved to; mount that one",
            )
        if adopt and known is None:
            self._adopt()

    def _adopt(self) -> None:
        with self._lock:
            found = self._identity()
            if found is None:
                self._path.mkdir(parents=True, exist_ok=True)
                _write_new(self._path / IDENTITY_NAME, {"id": str(uuid4()), "format": 1})
                found = self._identity()
        if found is None:
            raise TierUnavailable(self.name, f"{IDENTITY_NAME} in {self._path} vanished; check the share")
        with _memories:
            _replace(self._memory, {**self._remembered(), self.name: found})

    def _identity(self) -> str | None:
        file = self._path / IDENTITY_NAME
        try:
            return str(UUID(json.loads(file.read_bytes())["id"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise TierUnavailable(
                self.name,
                f"{IDENTITY_NAME} in {self._path} is damaged; restore it, its id stands in {self._memory}",
            ) from error

    def _remembered(self) -> dict[str, str]:
        try:
            tree = json.loads(self._memory.read_bytes())
            return {str(name): str(id_) for name, id_ in tree.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError) as error:
            raise TierUnavailable(
                self.name, f"{self._memory} is damaged; remove it to accept the tiers as they are"
            ) from error

    @contextmanager
    def _typed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise from_os_error(self.name, error) from error


def _partials(path: Path) -> list[Path]:
    """What is left of copies of that name that did not end."""
    return list(path.parent.glob(f".{path.name}.*.new"))


def _sync_directory(directory: Path) -> None:
    """As `disk.fsync_directory`; some shares (SMB) know no such thing, and their servers order names themselves."""
    try:
        disk.fsync_directory(directory)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _directories(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _may_begin(directory: str, prefix: str) -> bool:
    """Whether a name in `directory` may begin with `prefix`."""
    return directory.startswith(prefix) or prefix.startswith(directory)


def _write_new(path: Path, tree: dict[str, object]) -> None:
    """Make a file, whole or not at all, where there is none; another volume's keeper may be quicker."""
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    try:
        with temporary.open("xb") as file:
            file.write(json.dumps(tree).encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike a rename, it replaces nothing
        except FileExistsError:
            pass
        except OSError:  # shares without links (SMB)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _replace(path: Path, tree: dict[str, str]) -> None:
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(json.dumps(tree, indent=2).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    disk.fsync_directory(path.parent)
