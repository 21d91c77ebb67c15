"""One picture out of a recording or a live stream, as JPEG.

Belongs here: decoding a run of access units to their last picture, and encoding that.
Does not: choosing the units (vms.storage), threads: callers run this in one, decoding takes milliseconds a
picture and releases the GIL.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from vms.format.errors import FormatError
from vms.format.mp4.sample_entries import h264, h265
from vms.media import Codec, Track

if TYPE_CHECKING:
    from av import VideoCodecContext, VideoFrame

MAX_UNITS = 3000
_DECODERS = {Codec.H264: "h264", Codec.H265: "hevc"}


def decode_jpeg(
    track: Track, units: Sequence[bytes], *, max_width: int | None = None, quality: int = 3
) -> bytes:
    """The picture of the last of `units`, as JPEG.

    units: access units of `track` in decoding order, length-prefixed NAL units; the first is a key picture.
    max_width: make wider pictures this wide. quality: 1 (best) to 31, as ffmpeg's ``-q:v``.
    Where the last unit cannot be decoded, the last that can is taken. Raises FormatError when none can.
    """
    import av  # heavy, and only snapshots need it

    if not 0 < len(units) <= MAX_UNITS:
        raise FormatError(f"a snapshot out of {len(units)} pictures; 1 to {MAX_UNITS} can be")
    try:
        return _encode(_decode_last(track, units), max_width, quality)
    except av.FFmpegError as cause:
        raise FormatError(f"track {track.id}: the picture cannot be decoded: {cause.strerror}") from cause


def small_jpeg(track: Track, unit: bytes, width: int, quality: int = 4) -> bytes:
    """A key picture alone, made small, as JPEG: quicker than `decode_jpeg`, for what is looked at in passing.

    unit: an access unit of `track` that is a key picture, length-prefixed NAL units. width: pixels, even; a narrower
    picture keeps its own. Its height is even too. Raises FormatError when it cannot be decoded.
    """
    import av

    try:
        decoder = open_decoder(track)
        # Nothing is predicted from it, and what the deblocking filter smooths cannot be seen at this size
        decoder.options = {"skip_loop_filter": "all"}
        frames = [*decoder.decode(av.Packet(unit)), *decoder.decode(None)]
        if not frames:
            raise FormatError(f"track {track.id}: the key picture cannot be decoded")
        frame = frames[0]
        width = min(width, frame.width & ~1)
        height = max(round(frame.height * width / frame.width) & ~1, 2)
        small = frame.reformat(width=width, height=height, format="yuvj420p", interpolation="AREA")
        return encode_jpeg(small, quality)
    except av.FFmpegError as cause:
        raise FormatError(f"track {track.id}: the picture cannot be decoded: {cause.strerror}") from cause


def open_decoder(track: Track) -> "VideoCodecContext":
    """A decoder of the access units of `track` as recordings hold them, in one thread. Raises FormatError."""
    import av

    decoder = av.CodecContext.create(_decoder_name(track), "r")
    assert isinstance(decoder, av.VideoCodecContext)
    is_h264 = track.codec is Codec.H264
    decoder.extradata = h264.configuration_record(track) if is_h264 else h265.configuration_record(track)
    decoder.thread_count = 1
    return decoder


def _decode_last(track: Track, units: Sequence[bytes]) -> "VideoFrame":
    import av

    decoder = open_decoder(track)
    # Before the last unit only pictures that others refer to matter
    decoder.skip_frame = "NONREF"
    newest: VideoFrame | None = None
    for index, data in enumerate([*units, None]):
        if index == len(units) - 1:
            decoder.skip_frame = "DEFAULT"
        packet = av.Packet(data) if data is not None else None
        if packet is not None:
            packet.pts = packet.dts = index
        try:
            frames = decoder.decode(packet)
        except av.error.InvalidDataError:
            continue
        # A frame's pts is the index of its unit: frames come in the order of output, units of decoding
        newest = max((frame for frame in (newest, *frames) if frame), key=_unit_index, default=None)
    if newest is None:
        raise FormatError(f"track {track.id}: {len(units)} access units give no picture")
    return newest


def _unit_index(frame: "VideoFrame") -> int:
    return frame.pts if frame.pts is not None else -1


def _decoder_name(track: Track) -> str:
    if track.codec not in _DECODERS:
        raise FormatError(f"{track.codec} has no pictures")
    return _DECODERS[track.codec]


def _encode(frame: "VideoFrame", max_width: int | None, quality: int) -> bytes:
    width, height = frame.width, frame.height
    if max_width is not None and width > max_width:
        width, height = max(max_width, 1), max(round(height * max_width / width), 1)
    return encode_jpeg(frame.reformat(width=width, height=height, format="yuvj420p"), quality)


def encode_jpeg(picture: "VideoFrame", quality: int) -> bytes:
    """A picture in yuvj420p as JPEG. quality: 1 (best) to 31, as ffmpeg's ``-q:v``. Raises av.FFmpegError."""
    import av

    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1
    encoder.qmin = encoder.qmax = quality
    picture.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
