"""What lies on a volume and in its tiers, day by day, for a check.

Belongs here: listing and opening. Does not: comparing (fsck).
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vms.common.ids import CameraId
from vms.storage.bodies import open_body, open_reader
from vms.storage.body import Body
from vms.storage.findings import Finding, Kind
from vms.storage.keyring import Keyring
from vms.storage.layout import day_name, day_start_ns, is_camera_directory, is_day_directory
from vms.storage.recent import days_of
from vms.storage.segment import Segment
from vms.storage.tiers import TierStore, TierUnavailable


class Contents:
    """A volume and its tiers. Methods block, and raise OSError for the volume itself."""

    def __init__(self, volume: Path, keyring: Keyring, tiers: Mapping[str, TierStore]) -> None:
        self.volume = volume
        self.keyring = keyring
        self.tiers = tiers
        self.away: dict[str, str] = {}
        self._objects: dict[str, dict[tuple[str, str], dict[str, int]]] = {}

    def cameras(self) -> set[CameraId]:
        """Those that have a directory, or something in a tier."""
        local = {
            each.name for each in self.volume.iterdir() if is_camera_directory(each.name) and each.is_dir()
        }
        stored = {camera for tier in self.tiers for camera, _ in self.objects(tier)}
        return {CameraId(name) for name in local | stored}

    def days(self, camera_id: CameraId) -> set[int]:
        """The starts (UTC, ns) of its days."""
        local = {day.start_ns for day in days_of(self.volume / camera_id)}
        stored = (day for tier in self.tiers for camera, day in self.objects(tier) if camera == camera_id)
        return local | {start for day in stored if (start := day_start_ns(day)) is not None}

    def day(self, camera_id: CameraId, day_ns: int) -> "DayContents":
        """What lies in one day."""
        return DayContents(self, camera_id, day_ns)

    def name_of(self, segment: Segment) -> str:
        return segment.path.relative_to(self.volume).as_posix()

    def objects(self, tier: str) -> Mapping[tuple[str, str], Mapping[str, int]]:
        """Names and sizes in a tier by camera and day; nothing of one that is away, which `away` then says."""
        if tier not in self._objects:
            self._objects[tier] = {}
            found: dict[tuple[str, str], dict[str, int]] = {}
            try:
                for stored in self.tiers[tier].list():
                    camera, day, _ = stored.name.split("/")
                    if is_day_directory(day):
                        found.setdefault((camera, day), {})[stored.name] = stored.size_bytes
                self._objects[tier] = found
            except TierUnavailable as error:
                self.away[tier] = str(error)
        return self._objects[tier]

    def doubt_empty_tiers(self, known_bytes: Mapping[str, int]) -> None:
        """Take a tier in which nothing lies, though the catalog knows of recordings there, for another one: a wrong bucket."""
        for tier, size_bytes in known_bytes.items():
            if size_bytes and tier in self.tiers and not self.objects(tier) and tier not in self.away:
                self.away[tier] = (
                    f"it lists nothing, and the catalog knows of {size_bytes} bytes there; is it the right bucket and prefix?"
                )


class DayContents:
    """What lies in one day of a camera, on the volume (tier "") and in its tiers."""

    def __init__(self, contents: Contents, camera_id: CameraId, day_ns: int) -> None:
        self._contents = contents
        key = (str(camera_id), day_name(day_ns))
        self._sizes: dict[str, Mapping[str, int]] = {"": _list(contents.volume, f"{key[0]}/{key[1]}")}
        for tier in contents.tiers:
            self._sizes[tier] = contents.objects(tier).get(key, {})

    def names(self) -> Iterator[tuple[str, str]]:
        """Tier and name of everything, in order."""
        for tier, sizes in self._sizes.items():
            for name in sorted(sizes):
                yield tier, name

    def size_of(self, name: str, tier: str) -> int | None:
        """How large it lies there; None when it does not."""
        return self._sizes.get(tier, {}).get(name)

    def is_away(self, tier: str) -> bool:
        """Whether the tier could not be asked, or is not configured; `failures` says so then."""
        contents = self._contents
        if tier and tier not in contents.tiers:
            contents.away.setdefault(tier, "recordings were moved there, and it is not configured any more")
        return tier in contents.away

    def has(self, name: str, tier: str) -> bool:
        """Whether it lies there now; what was listed may be hours old. Raises TierUnavailable."""
        if not tier:
            return (self._contents.volume / name).exists()
        try:
            self._contents.tiers[tier].open(name).close()
        except FileNotFoundError:
            return False
        return True

    def failures(self) -> Iterator[Finding]:
        """Tiers that could not be asked, each once."""
        told = self._contents.away
        for tier, reason in list(told.items()):
            if reason:
                told[tier] = ""
                yield Finding(Kind.TIER_AWAY, "", reason, tier=tier)

    def is_locked(self, name: str) -> bool:
        """Whether a process has a file of the volume open for writing."""
        try:
            descriptor = os.open(self._contents.volume / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def open(self, name: str, tier: str) -> Iterator[Body]:
        """Its bytes as they were recorded. Raises OSError, FormatError, KeyUnknown, TierUnavailable."""
        contents = self._contents
        if tier:
            stored = contents.tiers[tier].open(name)
            try:
                yield open_reader(stored.read_at, stored.size_bytes, contents.keyring)
            finally:
                stored.close()
            return
        body = open_body(os.open(contents.volume / name, os.O_RDONLY | os.O_CLOEXEC), contents.keyring)
        try:
            yield body
        finally:
            body.close()


def _list(volume: Path, day: str) -> Mapping[str, int]:
    """Names, relative to the volume, and sizes of the files of a day."""
    try:
        with os.scandir(volume / day) as entries:
            files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
            return {f"{day}/{entry.name}": entry.stat(follow_symlinks=False).st_size for entry in files}
    except (FileNotFoundError, NotADirectoryError):
        return {}
