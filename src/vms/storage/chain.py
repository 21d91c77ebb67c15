"""Which file each recording of a camera follows: the link that shows when one is missing between two.

Belongs here: the file before. Does not: digests and signatures (vms.format.hybrid), asking keepers (precedents).
"""

from vms.format.hybrid import PreviousFile
from vms.storage.live import LiveSegment


class Chain:
    """The recordings of one stream of a camera, in the order in which this process makes them."""

    def __init__(self) -> None:
        self._last: LiveSegment | PreviousFile | None = None
        self._first: LiveSegment | None = None  # while it is open and what it follows is not known

    def join(self, live: LiveSegment) -> None:
        """A segment begins."""
        last = self._last
        if isinstance(last, LiveSegment) and last.closed.is_set():
            last = last.link()  # so that nothing holds on to segments of long ago
        live.previous = last
        self._first = live if last is None else None
        self._last = live

    def end(self, live: LiveSegment) -> None:
        """A segment is being closed. One that nothing was written of is no link."""
        if live is self._first:
            self._first = None
        if live is self._last and not live.writer.fragments:
            self._last = live.previous

    def precede(self, file: PreviousFile) -> None:
        """Learn, perhaps late, which file was the last before this process."""
        if self._first is not None:
            self._first.previous = file
            self._first = None
        elif self._last is None:
            self._last = file
