"""Writing a recording: access units in, fragments out, and at the end what closes the file.

Nothing here touches a disk. A unit becomes part of a fragment when the fragment is complete, so what a
crash loses is what the newest fragment lacks: at most `max_fragment_s` of pictures.

Belongs here: when a fragment ends, and what is in it. Does not: queues, files, syncing (vms.storage).
"""

from collections.abc import Collection, Sequence
from operator import sub

from vms.common.clock import NS
from vms.format import h264, h265
from vms.format.errors import FormatError
from vms.format.hybrid.integrity import Sealing, beginning_digest, build_proof, chain
from vms.format.hybrid.layout import build_beginning
from vms.format.hybrid.tail import build_finish
from vms.format.hybrid.types import Finish, Fragment, FragmentTrack, SegmentIdentity, WrittenFragment
from vms.format.mp4 import sample_entries
from vms.format.mp4.fragment import (
    MAX_TIME,
    ReferenceTime,
    TrackRun,
    build_movie_fragment,
    build_reference_time,
)
from vms.format.mp4.samples import TrackSamples
from vms.media import AccessUnit, Codec, MediaKind, Track

MAX_PENDING_UNITS = 1000
"""With the fragment's head they fit one pwritev (IOV_MAX is 1,024)."""
MAX_PENDING_BYTES = 32 << 20
MAX_UNIT_BYTES = 64 << 20
_U32_MAX = 0xFFFF_FFFF
_I32_MAX = 0x7FFF_FFFF
_FOLLOWER_SLACK = 1.5
"""How much longer than `max_fragment_s` sound may wait in a fragment that pictures should end."""


class _Pending:
    """What waits of one track for the end of its fragment."""

    __slots__ = (
        "first_dts",
        "last_dts",
        "latest_dts",
        "limit",
        "samples",
        "track",
        "units",
        "video",
    )

    def __init__(self, track: Track, limit_s: float) -> None:
        self.track = track
        self.video = track.kind is MediaKind.VIDEO
        self.limit = limit_s * track.clock_rate
        self.units: list[AccessUnit] = []
        self.first_dts = 0  # of `units`; looked at here, because the units themselves have left the caches
        self.last_dts = -1
        self.latest_dts = MAX_TIME
        self.samples = TrackSamples(track, [sample_entries.build(track)])


class SegmentWriter:
    """One recording file, as bytes to be written by the caller.

    tracks: what the stream consists of; a unit of another track, or of another version of one of these, is
        refused. When the first fragment is complete, those that no unit came for are dropped: players wait
        in vain for a track that the init segment lists and no fragment has.
    expected: ids of tracks that stay although no unit came yet, because they flowed until now.
    max_fragment_s: a fragment ends before it would last longer, and before every key picture; the first one
        goes on over key pictures while a track is awaited.
    fragments: those handed out so far. size: bytes up to the end of the last of them.

    Use: `push` until it gives the first fragment, write `header()`, then that fragment and all others; at the
    end `flush`, then `finish`. Raises FormatError when a track has no parameter sets, or unusable ones.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        identity: SegmentIdentity,
        *,
        max_fragment_s: float = 0.5,
        expected: Collection[int] = (),
    ) -> None:
        if not tracks or len({track.id for track in tracks}) != len(tracks):
            raise FormatError(f"a recording of {len(tracks)} tracks needs as many different track ids")
        self._tracks = tuple(tracks)
        self._identity = identity
        self._header: bytes | None = None
        self._awaited = {track.id for track in tracks}.difference(
            expected
        )  # empty once the header is settled
        self._has_video = any(track.kind is MediaKind.VIDEO for track in tracks)
        self._pending: dict[int, _Pending] = {}
        for track in tracks:
            leads = track.kind is MediaKind.VIDEO or not self._has_video
            limit_s = max_fragment_s if leads else max_fragment_s * _FOLLOWER_SLACK
            self._pending[track.id] = _Pending(track, limit_s)
        self._pending_units = 0
        self._pending_bytes = 0
        self.fragments: list[Fragment] = []
        build_beginning(tracks, identity, frozenset())  # what cannot be written is refused now
        self.size = 0

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Those that the file lists; before its first fragment, those that it may list."""
        return self._tracks

    def header(self) -> bytes:
        """The file's first bytes; FormatError before the first fragment, which decides what they say.

        Where the first picture carries its parameter sets, the sample entry says so (``avc3``, ``hev1``).
        """
        if self._header is None:
            raise FormatError("a recording has no header before its first fragment")
        return self._header

    def push(self, unit: AccessUnit) -> WrittenFragment | None:
        """Take a unit, and give the fragment that ends before it, if one does.

        Raises FormatError, and is unchanged then, for a unit that has no place in this file: of another
        track or version, empty or huge, or with a decoding time that does not rise. Times are not bent:
        the caller ends the file and begins the next one with the unit.
        """
        track = unit.track
        pending = self._pending.get(track.id)
        if pending is None or (pending.track is not track and pending.track != track):
            raise FormatError(f"track {track.id}, version {track.version}, is not of this recording")
        dts, pts, size = unit.dts, unit.pts, len(unit.data)
        if not (
            pending.last_dts < dts <= pending.latest_dts
            and pts >= 0
            and -_I32_MAX <= pts - dts <= _I32_MAX
            and 0 < size <= MAX_UNIT_BYTES
        ):
            raise FormatError(_why_refused(unit, pending.last_dts))
        if self._awaited:
            self._awaited.discard(track.id)
        written = None
        if self._pending_units and self._ends_before(unit, pending, dts):
            written = self._cut(pending, dts)
        if not pending.units:
            pending.first_dts = dts
        pending.units.append(unit)
        pending.last_dts = dts
        pending.latest_dts = min(dts + _U32_MAX, MAX_TIME)
        self._pending_units += 1
        self._pending_bytes += size
        return written

    def flush(self) -> WrittenFragment | None:
        """The fragment of what is pending. The last unit of each track is taken to last as long as the one
        before it; what comes later corrects that."""
        runs = [
            (pending, units, units[-1].dts + _expected_duration(pending))
            for pending in self._pending.values()
            if (units := pending.units)
        ]
        for pending in self._pending.values():
            pending.units = []
        self._pending_units = self._pending_bytes = 0
        return self._write(runs) if runs else None

    def chain_digest(self, digests: Sequence[bytes]) -> bytes:
        """The chain digest of the file up to the fragments whose `fragment_digest`s are `digests`.

        Raises FormatError before the first fragment.
        """
        return chain(beginning_digest(self.header()), digests)

    def finish(self, sealing: Sealing | None = None) -> Finish:
        """What closes the file, signed as `sealing` says; None leaves it unsigned.

        Raises FormatError when there is no fragment, `flush` was forgotten, or there is not a digest for each
        fragment; and what the signer raises. The writer is unchanged then: it can still be finished without.
        """
        if self._pending_units:
            raise FormatError(f"{self._pending_units} units are pending: flush before finish")
        samples = [pending.samples for pending in self._pending.values()]
        if sealing is None:
            return build_finish(self.fragments, samples, list(self._pending))
        sealed, header = sealing, self.header()

        def prove(rows: bytes, movie: bytes) -> bytes:
            return build_proof(self._identity, header, self.fragments, sealed, rows=rows, movie=movie)

        return build_finish(self.fragments, samples, list(self._pending), prove)

    def _ends_before(self, unit: AccessUnit, pending: _Pending, dts: int) -> bool:
        if pending.video and unit.key and not self._awaited:
            return True
        if self._pending_units >= MAX_PENDING_UNITS or self._pending_bytes >= MAX_PENDING_BYTES:
            return True
        # The unit is expected to last as long as the one before it
        return bool(pending.units) and 2 * dts - pending.last_dts - pending.first_dts > pending.limit

    def _cut(self, ending: _Pending, end_dts: int) -> WrittenFragment | None:
        """End the fragment before a unit of `ending` at `end_dts`. Of each other track the newest unit
        stays behind: how long it lasts is known only from the next one."""
        runs = []
        kept = kept_bytes = 0
        for pending in self._pending.values():
            units = pending.units
            if not units:
                continue
            if pending is ending:
                runs.append((pending, units, end_dts))
                pending.units = []
                continue
            if len(units) > 1:
                runs.append((pending, units[:-1], units[-1].dts))
            pending.units = units[-1:]
            pending.first_dts = pending.last_dts
            kept += 1
            kept_bytes += len(units[-1].data)
        self._pending_units, self._pending_bytes = kept, kept_bytes
        return self._write(runs) if runs else None

    def _settle(self, parts: list[tuple[_Pending, list[AccessUnit], int]]) -> bytes:
        """The header, with the first fragment in hand."""
        begun = {pending.track.id: units for pending, units, _ in parts}
        self._tracks = tuple(track for track in self._tracks if track.id not in self._awaited)
        self._pending = {track.id: self._pending[track.id] for track in self._tracks}
        self._awaited.clear()
        in_band = frozenset(
            track_id
            for track_id, pending in self._pending.items()
            if _is_in_band(begun.get(track_id) or pending.units)
        )
        for track_id in in_band:
            pending = self._pending[track_id]
            pending.samples.entries = [sample_entries.build(pending.track, in_band=True)]
        return build_beginning(self._tracks, self._identity, in_band)

    def _write(self, parts: list[tuple[_Pending, list[AccessUnit], int]]) -> WrittenFragment:
        if self._header is None:
            self._header = self._settle(parts)
            self.size = len(self._header)
        buffers: list[bytes] = [b""]
        runs, held = [], []
        for pending, units, end_dts in parts:
            _, data, dts, pts, keys, _, _, _ = zip(*units, strict=True)
            run = TrackRun(
                pending.track.id,
                dts[0],
                [*map(sub, (*dts[1:], end_dts), dts)],
                [*map(len, data)],
                [*map(sub, pts, dts)],
                keys,
            )
            runs.append(run)
            held.append(FragmentTrack(run.track_id, dts[0], end_dts - dts[0], len(data)))
            buffers += data
        leader, units, end_dts = next((part for part in parts if part[0].video), parts[0])
        first = units[0]
        moof = build_movie_fragment(len(self.fragments) + 1, runs)
        time = build_reference_time(ReferenceTime(leader.track.id, first.capture_ns, first.pts))
        buffers[0] = time + moof
        size = sum(map(len, buffers))
        fragment = Fragment(
            self.size,
            size,
            first.capture_ns,
            (end_dts - first.dts) * NS // leader.track.clock_rate,
            first.key if leader.video else not self._has_video,
            tuple(held),
        )
        for (pending, _, _), run in zip(parts, runs, strict=True):
            samples = pending.samples
            samples.append(run.first_dts, run.durations, run.sizes, run.composition_offsets, run.keys)
            samples.append_chunk(self.size + len(time) + run.data_offset, len(run.sizes))
        self.fragments.append(fragment)
        self.size += size
        return WrittenFragment(fragment, buffers)


def _is_in_band(units: Sequence[AccessUnit]) -> bool:
    if not units:
        return False
    first = units[0]
    try:
        if first.track.codec is Codec.H264:
            return h264.has_parameter_sets(first.data)
        return first.track.codec is Codec.H265 and h265.has_parameter_sets(first.data)
    except FormatError:
        return False  # a picture that no decoder will take is still recorded as it came


def _expected_duration(pending: _Pending) -> int:
    units, samples = pending.units, pending.samples
    if len(units) > 1:
        return units[-1].dts - units[-2].dts
    if len(samples):
        return samples.durations[-1]
    # A track's only unit: a video picture at 25 a second, an audio frame of 20 ms
    return max(pending.track.clock_rate // (25 if pending.video else 50), 1)


def _why_refused(unit: AccessUnit, last_dts: int) -> str:
    if not 0 < len(unit.data) <= MAX_UNIT_BYTES:
        return f"track {unit.track.id}: a unit of {len(unit.data)} bytes"
    return f"track {unit.track.id}: decoding time {unit.dts}, presentation time {unit.pts} after {last_dts}"
