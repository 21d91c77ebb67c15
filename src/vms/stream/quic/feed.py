"""One stream's pictures and sound for all its WebTransport viewers, made ready once.

Belongs here: the sink of a hub, what those who join get first. Does not: what one viewer gets (viewer).
"""

from collections.abc import Sequence
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.format.errors import FormatError
from vms.format.mp4.live import live_data
from vms.media import AccessUnit, Codec, Gap, Hub, MediaKind, Track
from vms.stream.quic.messages import AUDIBLE, PLAYABLE, Picture, SoundFrame

BURST_MAX_BYTES = 2 << 20
G711_MAX_BYTES = 960
"""120 ms; only cameras with very long audio frames need a cut."""


class Taker(Protocol):
    """A viewer, as its feed sees it."""

    @property
    def hears(self) -> bool:
        """Whether it wants sound."""

    def take(self, picture: Picture) -> None: ...
    def hear(self, sound: SoundFrame) -> None: ...
    def broken(self) -> None:
        """Something is missing: what comes next begins with a key picture."""


class Feed:
    """A hub's sink, attached while there are viewers. refused: pictures that break their standard."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self.hub = hub
        self.viewers: tuple[Taker, ...] = ()
        self.refused = 0
        self._clock = clock

    @property
    def track(self) -> Track | None:
        """What is sent of the stream; None when that is nothing."""
        found = self.hub.track(MediaKind.VIDEO)
        return found if found is not None and found.codec in PLAYABLE else None

    @property
    def sound(self) -> Track | None:
        """What can be heard of the stream."""
        found = self.hub.track(MediaKind.AUDIO)
        return found if found is not None and found.codec in AUDIBLE else None

    def add(self, viewer: Taker) -> None:
        """Serve a viewer from now on, beginning with the pictures since the newest key picture."""
        if not self.viewers:
            self.hub.attach(self)
        self.viewers = (*self.viewers, viewer)
        first = self._so_far()
        if not first:
            self.hub.request_key()
        for picture in first:
            viewer.take(picture)

    def remove(self, viewer: Taker) -> None:
        self.viewers = tuple(other for other in self.viewers if other is not viewer)
        if not self.viewers:
            self.close()

    def close(self) -> None:
        self.hub.detach(self)

    # Sink

    def push(self, unit: AccessUnit) -> None:
        if unit.track.kind is MediaKind.AUDIO:
            self._sound(unit)
        if unit.track.kind is not MediaKind.VIDEO or unit.track.codec not in PLAYABLE:
            return
        if unit.discontinuity and not unit.key:
            self._break()
        try:
            picture = self._picture(unit)
        except FormatError:
            self.refused += 1
            self._break()
            return
        for viewer in self.viewers:
            viewer.take(picture)

    def _sound(self, unit: AccessUnit) -> None:
        listeners = [viewer for viewer in self.viewers if viewer.hears]
        if not listeners or self.sound is None or unit.track.id != self.sound.id:
            return
        now_ns = self._clock.monotonic_ns()
        for sound in _pieces(unit, now_ns):
            for viewer in listeners:
                viewer.hear(sound)

    def gap(self, gap: Gap) -> None:
        self._break()

    def _break(self) -> None:
        for viewer in self.viewers:
            viewer.broken()

    def _so_far(self) -> Sequence[Picture]:
        units = [unit for unit in self.hub.gop if unit.track.kind is MediaKind.VIDEO]
        if sum(len(unit.data) for unit in units) > BURST_MAX_BYTES:
            return ()
        try:
            return [self._picture(unit) for unit in units if unit.track.codec in PLAYABLE]
        except FormatError:  # counted when it came
            return ()

    def _picture(self, unit: AccessUnit) -> Picture:
        now_ns = self._clock.monotonic_ns()
        return Picture(unit.track, live_data(unit), unit.key, unit.capture_ns, now_ns, unit.pts, unit.dts)


def _pieces(unit: AccessUnit, now_ns: int) -> Sequence[SoundFrame]:
    """A unit's sound; of G.711, which can be cut anywhere, as much as goes into a datagram each."""
    track = unit.track
    if len(unit.data) <= G711_MAX_BYTES or track.codec not in (Codec.PCMU, Codec.PCMA):
        return [SoundFrame(track, unit.data, unit.capture_ns, now_ns, unit.pts)]
    step = G711_MAX_BYTES // track.channels * track.channels
    return [
        SoundFrame(
            track,
            unit.data[at : at + step],
            unit.capture_ns + at // track.channels * NS // track.clock_rate,
            now_ns,
            unit.pts + at // track.channels,
        )
        for at in range(0, len(unit.data), step)
    ]
