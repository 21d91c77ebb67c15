"""Turn one stream into segments: where they begin, where they are cut, what is missing between them.

`push` is O(1), never waits and never raises for a disk. A segment begins at a key picture (at any unit of a stream
without video) and is cut at the first key picture after its time is up, when a track changes, when the stream was
interrupted, when the disk does not keep up, and when another volume is the better one.

Belongs here: these decisions. Does not: bytes (vms.format.hybrid), files (writer), which volume (recording), what of
the stream is recorded at all (camera_recorder).
"""

from collections.abc import Callable, Collection, Sequence

from vms.common.backoff import Backoff
from vms.common.clock import NS, Clock
from vms.common.errors import InvalidInput
from vms.common.ids import CameraId, uuid7
from vms.format.hybrid import SegmentIdentity, WrittenFragment
from vms.media import AccessUnit, Gap, GapReason, MediaKind, Track
from vms.storage.chain import Chain
from vms.storage.errors import FolderUnusable, StorageError
from vms.storage.gaps import GapLog
from vms.storage.layout import cut_after_ns, recording_name
from vms.storage.live import LiveSegment
from vms.storage.writer import VolumeWriter
from vms.telemetry.logs import get_logger

FLOWING_NS = 2 * NS  # a track that was silent for longer may stay silent: the next segment waits for it
USUAL_BYTES_PER_S = 500_000.0  # of a camera that was not recorded yet
AVOID_NS = 3600 * NS  # a volume on which the camera's folder cannot be used, where there is another
TIMELINE_TOLERANCE_NS = NS // 2  # capture time and timeline may drift apart this much over a loss

log = get_logger(__name__)


class Recorder:
    """Records one stream of one camera.

    tracks: what the stream consists of. place: given bytes a second and which to leave out, the writer of the volume on
    which the next segment goes; None when none can take it now. refusal: says why `place` gave None, for a person. moves: whether a segment on this writer
    should go on elsewhere. chain: of this camera and stream.
    error: why nothing is being kept although the camera delivers; None while all is well.
    Counters: segments_begun, units_left_out (of tracks that began, or began anew, in the middle of a segment,
    up to its end).
    """

    def __init__(
        self,
        camera_id: CameraId,
        tracks: Callable[[], Sequence[Track]],
        *,
        stream: str,
        segment_ns: int,
        clock: Clock,
        place: Callable[[float, Collection[VolumeWriter]], VolumeWriter | None],
        refusal: Callable[[], tuple[GapReason, str]],
        moves: Callable[[VolumeWriter], bool],
        chain: Chain,
        gaps: GapLog,
    ) -> None:
        self.camera_id = camera_id
        self.error: str | None = None
        self.segments_begun = 0
        self.units_left_out = 0
        self._stream = stream
        self._segment_ns = segment_ns
        self._clock = clock
        self._place = place
        self._refusal = refusal
        self._moves = moves
        self._chain = chain
        self._announced = tracks
        self._gaps = gaps
        self._live: LiveSegment | None = None
        self._writer: VolumeWriter | None = None
        self._kept = False  # the current segment has footage on the disk
        self._cut_at_ns = 0
        self._bytes_per_s = USUAL_BYTES_PER_S
        self._has_video = False
        self._tracks: dict[int, Track] = {}
        self._tracks_changed = False
        self._last: dict[int, AccessUnit] = {}
        self._flowed: dict[int, AccessUnit] = {}  # `_last` of the segment before
        self._left_out: set[int] = set()  # tracks that the current segment does not list, and that came
        self._backoff = Backoff()
        self._refused_until_ns = 0
        self._avoided: set[VolumeWriter] = set()  # the camera's folder there cannot be used
        self._avoided_until_ns = 0

    @property
    def live(self) -> LiveSegment | None:
        """The segment that is being filled."""
        return self._live

    @property
    def recording(self) -> bool:
        """Whether what is pushed now is being kept."""
        if self._live is None or self._live.error is not None:
            return False
        # A segment that follows another has nothing on the disk for a moment; nothing is missing for that.
        return self._kept or (self.segments_begun > 1 and self._gaps.lasting is None)

    @property
    def has_room(self) -> bool:
        """Whether what is pushed now, even much at once, is taken."""
        if self._writer is not None:
            return self._writer.ready
        return self._place(self._bytes_per_s, ()) is not None

    def cut(self) -> int | None:
        """Finish the segment; gives the end of its footage (wall clock, ns), None when there is no segment."""
        return self._cut() if self._live is not None else None

    def abandon(self, reason: str) -> None:
        """Let go of the segment as it is on the disk; what is in it is repaired. For a recorder that cannot go on."""
        live, writer = self._live, self._writer
        since_ns = self._clock.wall_ns()
        if live is not None and writer is not None:
            since_ns = live.end_ns
            live.error = live.error or StorageError(reason)
            self._chain.end(live)
            writer.finish(live)
            self._forget()
        self.error = reason
        self._gaps.open(since_ns, GapReason.UNKNOWN, reason)

    # -- the stream -------------------------------------------------------------------------------------

    def push(self, unit: AccessUnit) -> None:
        track = unit.track
        if unit.key or unit.discontinuity or self._tracks.get(track.id) is not track:
            if self._live is not None and self._must_cut(unit):
                self._cut()
            if self._live is None:
                self._begin(unit)
                return
            if self._tracks.get(track.id) is not track:
                self._leave_out(unit)
                return
        if self._live is not None:
            self._write(self._live, unit)

    def gap(self, gap: Gap) -> None:
        if gap.reason is GapReason.PACKET_LOSS:
            if self._live is not None:
                self._gaps.loss(gap)
            return
        end_ns = self._cut() if self._live is not None else 0
        self._flowed, self._left_out = {}, set()  # what the camera sends when it is back is not known
        # The hub knows when the last unit began, the file when it ended: nothing is missing before that
        self._gaps.open(max(gap.start_ns, end_ns) or self._clock.wall_ns(), gap.reason, gap.detail)

    # -- called by the writer, on the loop --------------------------------------------------------------

    def segment_began(self, live: LiveSegment) -> None:
        if live is self._live and not self._kept:
            self._keep(live)

    def segment_failed(self, live: LiveSegment, error: StorageError) -> None:
        lost_from_ns = live.end_ns
        if live is not self._live:  # cut already; what came after the failure is known to be missing
            self._gaps.loss(Gap(lost_from_ns, live.given_end_ns, GapReason.DISK_ERROR, str(error)))
            if self._live is None:
                self.error = str(error)
            return
        assert self._writer is not None
        self.error = str(error)
        if isinstance(error, FolderUnusable):
            self._avoid(self._writer)
        self._chain.end(live)
        self._writer.finish(live)
        self._forget()
        self._gaps.open(lost_from_ns, GapReason.DISK_ERROR, self.error)

    # -- deciding ---------------------------------------------------------------------------------------

    def _must_cut(self, unit: AccessUnit) -> bool:
        track = self._tracks.get(unit.track.id)
        if track is not unit.track:
            if track == unit.track:
                self._tracks[unit.track.id] = unit.track
            else:
                self._tracks_changed = True
        leads = unit.track.kind is MediaKind.VIDEO or not self._has_video
        if unit.discontinuity and self._timeline_broken(unit):
            if leads:
                return True
            self._tracks.pop(unit.track.id, None)  # sound alone does not end the pictures
            self._tracks_changed = True
        if not (unit.key and leads):
            return False
        assert self._writer is not None
        return self._tracks_changed or unit.capture_ns >= self._cut_at_ns or self._moves(self._writer)

    def _timeline_broken(self, unit: AccessUnit) -> bool:
        """Whether this unit cannot stand behind its track's last in one file."""
        last = self._last.get(unit.track.id)
        if last is None:
            return False
        if unit.dts <= last.dts:
            return True
        passed_ns = (unit.dts - last.dts) * NS // unit.track.clock_rate
        return abs(unit.capture_ns - last.capture_ns - passed_ns) > TIMELINE_TOLERANCE_NS

    def _begin(self, unit: AccessUnit) -> None:
        """Begin a segment with this unit, if one can begin with it."""
        video = unit.track.kind is MediaKind.VIDEO
        announced = self._announced()
        if not unit.key or (not video and any(track.kind is MediaKind.VIDEO for track in announced)):
            return
        if self._clock.monotonic_ns() < self._refused_until_ns:
            return
        writer = self._find_place()
        if writer is None:
            reason, self.error = self._refusal()
            lasting = self._gaps.lasting
            if lasting is None or lasting.reason not in (GapReason.DISK_ERROR, GapReason.OVERRUN):
                self._gaps.open(unit.capture_ns, reason, self.error)
            return
        tracks = {track.id: track for track in announced} | {unit.track.id: unit.track}
        try:
            self._live = self._new_segment(unit, tuple(tracks.values()), writer)
        except InvalidInput as error:
            self._refuse(unit.capture_ns, error)
            return
        self._chain.join(self._live)
        writer.expect(self._bytes_per_s)
        self._writer = writer
        self._has_video = any(track.kind is MediaKind.VIDEO for track in tracks.values())
        self._tracks = tracks
        self._cut_at_ns = cut_after_ns(self.camera_id, unit.capture_ns, self._segment_ns)
        self._last[unit.track.id] = unit
        self.segments_begun += 1

    def _find_place(self) -> VolumeWriter | None:
        if self._avoided and self._clock.monotonic_ns() >= self._avoided_until_ns:
            self._avoided.clear()
        return self._place(self._bytes_per_s, self._avoided)

    def _avoid(self, writer: VolumeWriter) -> None:
        """Go on elsewhere, or, where there is no other volume, try again after a while."""
        self._avoided.add(writer)
        now_ns = self._clock.monotonic_ns()
        self._avoided_until_ns = now_ns + AVOID_NS
        if self._place(self._bytes_per_s, self._avoided) is None:
            self._avoided.clear()
            self._refused_until_ns = now_ns + round(self._backoff.next_s() * NS)

    def _new_segment(self, unit: AccessUnit, tracks: tuple[Track, ...], writer: VolumeWriter) -> LiveSegment:
        identity = SegmentIdentity(uuid7(unit.capture_ns), self.camera_id, self._stream)
        path = writer.volume.path / recording_name(self.camera_id, unit.capture_ns, self._stream)
        expected = self._left_out | {
            track_id
            for track_id, last in self._flowed.items()
            if abs(unit.capture_ns - last.capture_ns) <= FLOWING_NS
        }
        self._flowed, self._left_out = {}, set()
        return LiveSegment(identity, tracks, unit, path, self, expected=expected)

    # -- doing ------------------------------------------------------------------------------------------

    def _write(self, live: LiveSegment, unit: AccessUnit) -> None:
        assert self._writer is not None
        try:
            if unit.discontinuity and (unit.track.kind is MediaKind.VIDEO or not self._has_video):
                self._append(live.writer.flush())  # no fragment spans what is missing
            written = live.writer.push(unit)
        except InvalidInput as error:
            self._refuse(self._cut(), error)
            return
        self._last[unit.track.id] = unit
        if written is not None:
            self._append(written)
            if self._writer.overrun:
                self._writer.overruns += 1
                end_ns = self._cut()
                reason, self.error = self._refusal()
                self._gaps.open(end_ns, reason, self.error)

    def _append(self, written: WrittenFragment | None) -> None:
        if written is not None:
            assert self._live is not None
            assert self._writer is not None
            if not self._live.begun:
                listed = {track.id for track in self._live.tracks}
                self._tracks = {id_: track for id_, track in self._tracks.items() if id_ in listed}
                self._live.begun = True
                self._writer.begin(self._live)
            self._writer.append(self._live, written)

    def _leave_out(self, unit: AccessUnit) -> None:
        """The segment does not list the unit's track: that waits for the next cut, which comes soon."""
        self.units_left_out += 1
        if unit.track.id not in self._left_out:
            self._left_out.add(unit.track.id)
            log.info(
                "a track begins in the middle of a segment; it is recorded from the next key picture on",
                camera=self.camera_id,
                codec=unit.track.codec.value,
            )

    def _cut(self) -> int:
        """Finish the segment here; gives the end of its footage (wall clock, ns)."""
        live, writer = self._live, self._writer
        assert live is not None
        assert writer is not None
        self._append(live.writer.flush())
        if live.writer.fragments:
            if not self._kept:
                self._keep(live)  # it is on its way to the disk; if that fails, segment_failed says so
            lasted_ns = live.given_end_ns - live.start_ns
            if lasted_ns >= NS:
                self._bytes_per_s = live.writer.fragments[-1].end * NS / lasted_ns
        self._chain.end(live)
        writer.finish(live)
        self._forget()
        return live.given_end_ns

    def _keep(self, live: LiveSegment) -> None:
        self._kept = True
        self.error = None
        self._backoff.reset()
        self._gaps.close(live.start_ns)

    def _forget(self) -> None:
        self._live = None
        self._writer = None
        self._kept = False
        self._tracks_changed = False
        self._flowed, self._last = self._last, {}

    def _refuse(self, since_ns: int, error: InvalidInput) -> None:
        """The stream breaks the format's rules: say so, and try again after a while."""
        self.error = f"the stream cannot be recorded: {error}"
        log.warning("a stream cannot be recorded", camera=self.camera_id, reason=str(error))
        self._refused_until_ns = self._clock.monotonic_ns() + round(self._backoff.next_s() * NS)
        self._gaps.open(since_ns, GapReason.UNKNOWN, self.error)
