"""What media processes say of a volume, summed up.

Belongs here: the sums, and forgetting who fell silent. Does not: what is decided by them (keeper, retention).
"""

from vms.common.clock import NS, Clock
from vms.storage.keeping import MediaReport

SILENCE_NS = 10 * NS  # a process that says nothing for so long writes nothing any more


class MediaReports:
    """The newest report of every media process. written_bytes: by all of them, since this object was made."""

    def __init__(self, clock: Clock) -> None:
        self.written_bytes = 0
        self._clock = clock
        self._newest: dict[str, tuple[int, MediaReport]] = {}

    def take(self, report: MediaReport) -> None:
        _, before = self._newest.get(report.worker, (0, None))
        if before is not None:
            # A process that began anew counts from nothing again.
            grown = report.written_bytes - before.written_bytes
            self.written_bytes += grown if grown >= 0 else report.written_bytes
        self._newest[report.worker] = self._clock.monotonic_ns(), report

    @property
    def open_bytes(self) -> int:
        """Size of all files without a row."""
        return sum(report.open_bytes for report in self._recent())

    @property
    def stalled(self) -> bool:
        """Whether the disk keeps a media process waiting."""
        return any(report.stalled for report in self._recent())

    @property
    def workers(self) -> int:
        """Media processes that are heard of."""
        return len(self._recent())

    def _recent(self) -> list[MediaReport]:
        oldest_ns = self._clock.monotonic_ns() - SILENCE_NS
        self._newest = {key: value for key, value in self._newest.items() if value[0] >= oldest_ns}
        return [report for _, report in self._newest.values()]
