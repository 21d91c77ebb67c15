"""Pictures of one stream → H.264 that every browser takes: no B-frames, at most so tall, key pictures when asked for.

Belongs here: decoding, scaling, encoding, and whose time a picture has. Does not: threads, how many streams
(vms.transcode.service). `units` blocks for milliseconds; one thread at a time; it releases the GIL while it does.
"""

from collections import OrderedDict
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from vms.format import h264, nal
from vms.format.codecs import VIDEO_CLOCK_RATE, video_track
from vms.format.errors import FormatError
from vms.format.picture import open_decoder
from vms.media import AccessUnit, Codec, Track
from vms.telemetry.logs import get_logger
from vms.transcode.options import ENCODERS, SOFTWARE, TranscodeOptions

if TYPE_CHECKING:
    import av
    from av import VideoCodecContext, VideoFrame

log = get_logger(__name__)

MOST_REORDERED = 64
"""Pictures whose times are remembered while the decoder holds them back: four times what the standards let it hold."""


class PictureTranscoder:
    """One video line. Counters: pictures, broken (could not be decoded or encoded), skipped (`wanted` said no)."""

    def __init__(self, options: TranscodeOptions, track_id: int = 1) -> None:
        self.pictures = 0
        self.broken = 0
        self.skipped = 0
        self.track: Track | None = None  # of what comes out; None before its first picture
        self._options = options
        self._track_id = track_id
        self._source: Track | None = None
        self._decoder: VideoCodecContext | None = None
        self._encoder: VideoCodecContext | None = None
        self._software = False  # the encoder that was asked for does not work here
        self._held: OrderedDict[int, AccessUnit] = OrderedDict()
        self._sent: dict[int, AccessUnit] = {}  # given to the encoder, by pts
        self._last_pts = -1
        self._key_pts: int | None = None
        self._begins = True  # something is missing before the next picture
        self._key_wanted = False  # until a picture comes out that can be one
        self._failing = False  # the encoder has given nothing since it last said why

    def units(self, unit: AccessUnit, *, wanted: bool = True, key: bool = False) -> list[AccessUnit]:
        """What comes out when `unit` goes in: none, one, or several.

        wanted: False decodes it and leaves it out, when time is short. key: begin with a key picture.
        """
        import av

        out: list[AccessUnit] = []
        self._key_wanted = self._key_wanted or key
        if unit.track is not self._source or unit.discontinuity or self._decoder is None:
            if not unit.key:
                self.restart()  # those after it are made of what is missing
                return []
            out = self._begin(unit)
        self._held[unit.pts] = unit
        if len(self._held) > MOST_REORDERED:
            self._held.popitem(last=False)
        packet = av.Packet(unit.data)
        packet.pts, packet.dts = unit.pts, unit.dts
        assert self._decoder is not None
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            self.broken += 1
            return out
        return out + self._encoded(frames, wanted)

    def restart(self) -> None:
        """Something is lost: go on with the next key picture that comes in."""
        self._decoder = None
        self._begins = True

    def _begin(self, unit: AccessUnit) -> list[AccessUnit]:
        """Decode from here on; what the decoder before still held."""
        out = self._flush(unit.pts)
        self._held.clear()
        self._sent.clear()
        self._source = unit.track
        self._decoder = open_decoder(unit.track)
        self._encoder = None
        if self._last_pts >= unit.pts:  # a timeline of its own
            self._last_pts = -1
        self._begins = True
        return out

    def _flush(self, before_pts: int) -> list[AccessUnit]:
        import av

        if self._decoder is None or self._begins:
            return []
        try:
            held = self._decoder.decode(None)
            return self._encoded((each for each in held if (each.pts or 0) < before_pts), True)
        except av.FFmpegError:
            return []

    def _encoded(self, frames: Iterable["VideoFrame"], wanted: bool) -> list[AccessUnit]:
        out: list[AccessUnit] = []
        for frame in frames:
            source = self._held.pop(frame.pts, None) if frame.pts is not None else None
            if source is None or source.pts <= self._last_pts:
                self.broken += 1
            elif not wanted:
                self.skipped += 1
            else:
                out += self._encode(frame, source)
        return out

    def _encode(self, frame: "VideoFrame", source: AccessUnit) -> list[AccessUnit]:
        import av
        from av.video.frame import PictureType

        width, height = _size(frame.width, frame.height, self._options.max_height)
        encoder, key = self._encoder, self._key_wanted
        try:
            picture = frame.reformat(
                width=width, height=height, format="yuv420p", interpolation="FAST_BILINEAR"
            )
            if encoder is None or (encoder.width, encoder.height) != (width, height):
                encoder = self._encoder = self._open(width, height)
                key = True
            interval = round(self._options.key_interval_s * VIDEO_CLOCK_RATE)
            key = key or self._key_pts is None or source.pts - self._key_pts >= interval
            # A decoded picture remembers what type it was, which would be asked of the encoder too
            picture.pict_type = PictureType.I if key else PictureType.NONE
            picture.pts, picture.time_base = source.pts, Fraction(1, VIDEO_CLOCK_RATE)
            self._last_pts = source.pts
            if key:
                self._key_pts, self._key_wanted = source.pts, False
            self._sent[source.pts] = source
            if len(self._sent) > MOST_REORDERED:  # of an encoder that gives nothing
                del self._sent[next(iter(self._sent))]
            packets = encoder.encode(picture)
        except av.FFmpegError as error:
            self.broken += 1
            self._encoder = None
            if not self._failing:
                log.warning("pictures cannot be encoded", reason=error.strerror)
            self._failing = True
            return []
        self._failing = False
        return [unit for packet in packets if (unit := self._unit(packet)) is not None]

    def _unit(self, packet: "av.Packet[av.VideoStream]") -> AccessUnit | None:
        source = self._sent.pop(packet.pts, None) if packet.pts is not None else None
        if source is None:
            self.broken += 1
            return None
        try:
            data = nal.from_annex_b(bytes(packet))
            if packet.is_keyframe:
                self._describe(data)
        except FormatError:
            self.broken += 1
            return None
        assert self.track is not None, "an encoder begins with a key picture"
        self.pictures += 1
        begins, self._begins = self._begins, False
        return AccessUnit(
            self.track,
            data,
            source.pts,
            source.pts,
            packet.is_keyframe,
            begins and self.pictures > 1,
            source.capture_ns,
            source.arrival_ns,
        )

    def _describe(self, data: bytes) -> None:
        sets = [bytes(each) for each in nal.split(data) if h264.nal_type(each) in (h264.SPS, h264.PPS)]
        if self.track is None or tuple(sets) != self.track.parameter_sets:
            version = 0 if self.track is None else self.track.version + 1
            self.track = video_track(self._track_id, Codec.H264, sets, version)

    def _open(self, width: int, height: int) -> "VideoCodecContext":
        """An encoder; the software one where the one that was asked for cannot be opened. Raises av.FFmpegError."""
        import av

        wanted = SOFTWARE if self._software else self._options.encoder
        try:
            return self._opened(wanted, width, height)
        except (av.FFmpegError, ValueError) as error:
            if wanted == SOFTWARE:
                raise
            self._software = True
            log.warning(
                "the encoder cannot be used here; libx264 does its work", encoder=wanted, reason=str(error)
            )
            return self._opened(SOFTWARE, width, height)

    def _opened(self, name: str, width: int, height: int) -> "VideoCodecContext":
        import av

        encoder = av.CodecContext.create(name, "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base = Fraction(1, VIDEO_CLOCK_RATE)
        encoder.framerate = Fraction(25)
        encoder.max_b_frames = 0
        encoder.gop_size = 1 << 14  # by time, see _encode
        encoder.thread_count = 1
        bitrate = self._options.bitrate
        limits = {"maxrate": str(bitrate), "bufsize": str(bitrate // 2)}
        if name != SOFTWARE:
            encoder.bit_rate = bitrate
        encoder.options = {**ENCODERS[name], **limits}
        encoder.open()
        return encoder


def _size(width: int, height: int, max_height: int) -> tuple[int, int]:
    """Even, as 4:2:0 needs it, and no taller than `max_height`; the shape stays."""
    if height > max_height:
        width, height = round(width * max_height / height), max_height
    return max(width & ~1, 2), max(height & ~1, 2)
