"""A clip whose pictures say when they were captured: footage is decoded, drawn on and encoded again (H.264).

Where nothing was recorded, or the recording begins anew, a card says so for CARD_S seconds. Sound is kept where the
first recording of the range has some; it becomes AAC.

Belongs here: from cuts to one MP4 file. Does not: choosing what is shown (playback.cutlist), drawing (drawing).
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.format.hybrid import SampleTable
from vms.format.picture import open_decoder
from vms.media import Gap, MediaKind
from vms.storage.playback.cutlist import Cut, of_track
from vms.storage.playback.errors import RecordingDamaged
from vms.storage.playback.samples import read_cut
from vms.storage.render.clip import Piece
from vms.storage.render.drawing import Easel, wall_text
from vms.storage.render.export_files import WrittenFile
from vms.storage.render.progress import Progress
from vms.storage.render.room import Room
from vms.storage.render.sound import Sound

if TYPE_CHECKING:
    import av

CARD_S = 2
_CARD_RATE = 5
_TICKS = 90_000
_QUALITY = "21"  # of libx264: hardly to be told from the original
_KEYS_EVERY = "50"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a clip is to show: a camera's range, with its times in `zone`.

    exact: pictures before `start_ns` are left out, else it begins with the key picture before. gaps: of the range.
    """

    camera_id: CameraId
    start_ns: int
    end_ns: int
    zone: ZoneInfo
    gaps: Sequence[Gap]
    exact: bool

    @property
    def from_ns(self) -> int:
        """Pictures before are left out."""
        return self.start_ns if self.exact else 0


class BurntClip:
    """Writes one clip. All methods block, in one thread at a time; they raise Stopped soon after `progress.stop`."""

    def __init__(
        self,
        file: WrittenFile,
        wanted: Wanted,
        *,
        progress: Progress,
        tell: Callable[[float], None],
        room: Room,
    ) -> None:
        """file: empty, and its own from now on. tell: is given the share of the range that is done. Raises OSError."""
        import av

        self.pieces: list[Piece] = []
        self.frames = 0
        self.damaged = 0  # pictures that could not be decoded
        self._size_bytes = 0
        self._file = file
        self._wanted = wanted
        self._progress = progress
        self._tell_share = tell
        self._room = room
        self._output = av.open(file, "w", format="mp4")
        self._video: av.VideoStream | None = None
        self._easel: Easel
        self._sound: Sound | None = None
        self._at = 0  # where the next cut goes, in ticks of the clip
        self._shown_at = 0  # where the last picture stands
        self._durations: deque[int] = deque()

    def add(self, cuts: Sequence[Cut]) -> None:
        """Show the cuts of one file. Raises RecordingDamaged, OSError."""
        import av

        for cut in cuts:
            try:
                self._add(cut)
            except (FormatError, av.FFmpegError) as error:
                if isinstance(error, OSError):
                    raise
                raise RecordingDamaged(
                    f"recording {cut.opened.segment.id} cannot be shown with its time: {error}; export it "
                    "without the time in its pictures, or a range without it"
                ) from error

    def finish(self) -> None:
        """Close the file."""
        if self._video is not None:
            if self._sound is not None:
                self._sound.finish()
            self._mux_video(None)
        self._output.close()
        self._file.finish()

    def abandon(self) -> None:
        """Let go of the file as it is, after a failure."""
        import av

        self._file.throw_away()
        with suppress(av.FFmpegError, OSError, ValueError):  # what was begun cannot be finished
            self._output.close()

    # -- private ----------------------------------------------------------------------------------------

    def _add(self, cut: Cut) -> None:
        tables = read_cut(cut)
        pictures = next((t for t in tables.values() if t.track.kind is MediaKind.VIDEO), None)
        if pictures is None:
            raise FormatError("it holds no pictures")
        heard = next((t for t in tables.values() if t.track.kind is MediaKind.AUDIO), None)
        clock = _WallClock(cut, pictures)
        decoder = open_decoder(pictures.track)
        origin: int | None = None  # decoding time of the first picture shown
        wall_ns = cut.start_ns
        began, decoded = self._at, 0
        dts = pictures.first_dts
        for index in range(len(pictures) + 1):
            self._progress.check()
            packet = None
            if index < len(pictures):
                packet = _packet(cut, pictures, index, dts)
                dts += pictures.durations[index]
            for frame in _decoded(decoder, packet):
                assert frame.pts is not None
                decoded += 1
                wall_ns = clock.wall_ns(frame.pts)
                if not self._wanted.from_ns <= wall_ns < min(cut.until_ns, self._wanted.end_ns):
                    continue
                if origin is None:
                    origin = frame.pts
                    began = self._begin(cut, frame, wall_ns, heard)
                ticks = (frame.pts - origin) * _TICKS // pictures.track.clock_rate
                self._show(self._easel.draw(frame, self._text(wall_ns)), began + ticks)
                self._tell(wall_ns)
        lost = len(pictures) - decoded
        if lost > len(pictures) // 2:
            raise FormatError(f"{lost} of {len(pictures)} pictures cannot be decoded")
        self.damaged += lost
        if origin is None:
            return
        rate = pictures.track.clock_rate
        last_s = Fraction(pictures.durations[-1], rate)
        self._at = self._shown_at + max(round(last_s * _TICKS), 1)
        end_ns = min(wall_ns + int(last_s * NS), cut.until_ns)
        self.pieces[-1] = self.pieces[-1].until(end_ns)
        if heard is not None and self._sound is not None:
            self._sound.add(
                cut, heard, Fraction(origin, rate), Fraction(began, _TICKS), Fraction(self._at, _TICKS)
            )

    def _begin(self, cut: Cut, frame: "av.VideoFrame", wall_ns: int, heard: SampleTable | None) -> int:
        """The cut's first picture: where it stands in the clip."""
        if self._video is None:
            self._easel = Easel(frame.width, frame.height)
            self._video = self._new_stream()
            if heard is not None:
                self._sound = Sound(self._output, heard.track)
        elif not cut.joined:
            self._show_card(self.pieces[-1].end_ns, wall_ns)
        if not cut.joined or not self.pieces:
            self.pieces.append(Piece(self._at / _TICKS, wall_ns, wall_ns))
        return self._at

    def _new_stream(self) -> "av.VideoStream":
        stream = self._output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = self._easel.width, self._easel.height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.time_base = Fraction(1, _TICKS)
        stream.options = {"preset": "veryfast", "crf": _QUALITY, "g": _KEYS_EVERY, "bf": "0"}
        return stream

    def _show_card(self, from_ns: int, until_ns: int) -> None:
        lost = [
            gap for gap in self._wanted.gaps if gap.start_ns < until_ns and (gap.end_ns or until_ns) > from_ns
        ]
        lines = [
            "NO RECORDING",
            wall_text(from_ns, self._wanted.zone),
            wall_text(until_ns, self._wanted.zone),
        ]
        lines += [gap.reason.value.replace("_", " ").upper() for gap in lost[:1]]
        card = self._easel.card(lines, self._text(from_ns))
        for number in range(
            CARD_S * _CARD_RATE
        ):  # one long picture would make players stand still when they seek
            self._show(card, self._at + number * _TICKS // _CARD_RATE)
        self._at += CARD_S * _TICKS

    def _text(self, wall_ns: int) -> str:
        return f"{wall_text(wall_ns, self._wanted.zone)} {self._wanted.camera_id}"

    def _show(self, frame: "av.VideoFrame", at: int) -> None:
        assert self._video is not None
        if self.frames:
            at = max(at, self._shown_at + 1)
            self._durations.append(at - self._shown_at)
        self._shown_at = at
        frame.pts, frame.time_base = at, Fraction(1, _TICKS)
        self.frames += 1
        self._mux_video(frame)

    def _mux_video(self, frame: "av.VideoFrame | None") -> None:
        assert self._video is not None
        for packet in self._video.encode(frame):
            packet.duration = self._durations.popleft() if self._durations else self._at - self._shown_at
            self._output.mux(packet)

    def _tell(self, wall_ns: int) -> None:
        wanted = self._wanted
        self._tell_share((wall_ns - wanted.start_ns) / (wanted.end_ns - wanted.start_ns))
        if self.frames % 64 == 0:
            size_bytes = self._file.size_bytes
            self._progress.size_bytes += size_bytes - self._size_bytes
            self._size_bytes = size_bytes
            self._room.check(0)


def _packet(cut: Cut, table: SampleTable, index: int, dts: int) -> "av.Packet[av.stream.Stream]":
    import av

    data = cut.opened.read_at(table.offsets[index], table.sizes[index])
    if len(data) != table.sizes[index]:
        raise FormatError("it was cut short")
    packet = av.Packet(data)
    packet.dts, packet.pts = dts, dts + table.composition_offsets[index]
    return packet


def _decoded(
    decoder: "av.VideoCodecContext", packet: "av.Packet[av.stream.Stream] | None"
) -> "list[av.VideoFrame]":
    """What comes out of the decoder; nothing where pictures are damaged, as they are behind a loss."""
    import av

    try:
        return decoder.decode(packet)
    except av.error.InvalidDataError:
        return []


class _WallClock:
    """When pictures of a cut were captured: counted from key pictures, whose times are exact.

    Between them the times of fragments stand still where pictures are reordered.
    """

    def __init__(self, cut: Cut, table: SampleTable) -> None:
        self._rate = table.track.clock_rate
        anchors: list[tuple[int, int]] = []
        index, dts = 0, table.first_dts
        for fragment in cut.fragments:
            part = of_track(fragment, table.track.id)
            if part is None or index >= len(table):
                continue
            if fragment.key or not anchors or not table.track.max_reorder:
                anchors.append((dts + table.composition_offsets[index], fragment.start_ns))
            dts += sum(table.durations[index : index + part.samples])
            index += part.samples
        anchors.sort()
        self._pts = [pts for pts, _ in anchors]
        self._ns = [ns for _, ns in anchors]

    def wall_ns(self, pts: int) -> int:
        place = max(bisect_right(self._pts, pts) - 1, 0)
        return self._ns[place] + (pts - self._pts[place]) * NS // self._rate
