"""Find files without a row, again and again, without listing everything each time.

A directory is listed again only when its time of change says so; a file that was seen locked is tried at every
look, so that one whose writer died is taken care of within seconds, whether or not anybody tells.

Belongs here: where to look. Does not: what is done to a file (repair), rows (recovery).
"""

import time
from pathlib import Path

from vms.common.clock import NS, Clock
from vms.storage import recovery
from vms.storage.errors import VolumeUnavailable
from vms.storage.kept_volume import KeptVolume
from vms.storage.layout import is_camera_directory
from vms.storage.recent import DayDirectory, recent_days, recordings_in
from vms.storage.recovery import Settled
from vms.storage.repair import RecoveryCounters

_SETTLED_NS = 2 * NS  # a directory changed this recently may change again within the tick of its time


class UnsettledFiles:
    """The files of one volume that were found without a row. All methods block."""

    def __init__(self, volume: KeptVolume, clock: Clock, counters: RecoveryCounters) -> None:
        self._volume = volume
        self._clock = clock
        self._counters = counters
        self._names: dict[str, None] = {}  # in the order in which they were found
        self._listed: dict[Path, int] = {}  # when directories changed last, as of their listing

    @property
    def count(self) -> int:
        """Files without a row, as of the last look."""
        return len(self._names)

    def add(self, names: list[str]) -> None:
        """Note files that could not be settled."""
        self._names.update(dict.fromkeys(names))

    def look(self) -> Settled:
        """Settle what can be settled in the recent days of all cameras. Raises StorageError."""
        try:
            cameras = [each for each in self._volume.path.iterdir() if is_camera_directory(each.name)]
            now_ns = self._clock.wall_ns()
            days = {day.path: day for each in cameras for day in recent_days(each, now_ns)}
            self._listed = {path: at_ns for path, at_ns in self._listed.items() if path in days}
            for day in days.values():
                self._list(day)
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self._volume.path, error) from error
        settled = recovery.settle(self._volume, list(self._names), self._counters)
        for name in settled.names:
            self._names.pop(name, None)
        return settled

    def _list(self, day: DayDirectory) -> None:
        try:
            changed_ns = day.path.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if self._listed.get(day.path) == changed_ns:
            return
        found = recordings_in(day)
        rows = recovery.names_of_rows(self._volume.catalog, day)
        self.add([name for name in found if name not in rows])
        if time.time_ns() - changed_ns > _SETTLED_NS:  # the file system's own clock
            self._listed[day.path] = changed_ns
