"""Streams that browsers cannot play, and what the transcoded ones are decoded to."""

import math
from array import array
from collections.abc import Sequence
from fractions import Fraction

import av

from vms.common.clock import NS
from vms.format import h264, h265, nal
from vms.format.codecs import audio_track, video_track
from vms.format.picture import open_decoder
from vms.media import AccessUnit, Codec, Track

START_NS = 1_795_442_700 * NS
_ENCODERS = {Codec.H264: "libx264", Codec.H265: "libx265"}
_SETS = {Codec.H264: (h264.SPS, h264.PPS), Codec.H265: (h265.VPS, h265.SPS, h265.PPS)}
_TYPE = {Codec.H264: h264.nal_type, Codec.H265: h265.nal_type}


def filmed(
    codec: Codec,
    frames: int = 40,
    *,
    width: int = 320,
    height: int = 180,
    b_frames: int = 2,
    at: int = 0,
    arrival_ns: int = 0,
) -> list[AccessUnit]:
    """Pictures of 25 a second whose brightness says their number: 3 × number + 40."""
    encoder = av.CodecContext.create(_ENCODERS[codec], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 90_000), Fraction(25)
    encoder.options = {
        "preset": "ultrafast",
        "bf": str(b_frames),
        "g": "20",
        "x265-params": f"log-level=none:bframes={b_frames}:keyint=20",
    }
    packets = []
    for number in range(frames):
        picture = _plain_picture(width, height, 40 + 3 * (number % 64))
        picture.pts, picture.time_base = at + number * 3600, Fraction(1, 90_000)
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    return _units(codec, packets, arrival_ns)


def _plain_picture(width: int, height: int, light: int) -> av.VideoFrame:
    picture = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(picture.planes, (light, 128, 128), strict=True):
        plane.update(bytes((value,)) * plane.buffer_size)
    return picture


def _units(codec: Codec, packets: Sequence[av.Packet], arrival_ns: int) -> list[AccessUnit]:
    track: Track | None = None
    units = []
    lowest = min(packet.dts for packet in packets if packet.dts is not None)
    for packet in packets:
        data = nal.from_annex_b(bytes(packet))
        if track is None:
            sets = [bytes(each) for each in nal.split(data) if _TYPE[codec](each) in _SETS[codec]]
            track = video_track(1, codec, sets)
        dts, pts = packet.dts - min(lowest, 0), packet.pts - min(lowest, 0)
        units.append(
            AccessUnit(
                track, data, dts, pts, packet.is_keyframe, False, START_NS + pts * NS // 90_000, arrival_ns
            )
        )
    return units


def brightness(units: Sequence[AccessUnit]) -> list[tuple[int, int]]:
    """(pts, brightness) of every picture, decoded by a decoder of its own."""
    found: list[tuple[int, int]] = []
    decoder = None
    source: Track | None = None
    for unit in units:
        if unit.track is not source:
            found += _shown(decoder, None) if decoder is not None else []
            decoder, source = open_decoder(unit.track), unit.track
        packet = av.Packet(unit.data)
        packet.pts, packet.dts = unit.pts, unit.dts
        found += _shown(decoder, packet)
    return found + (_shown(decoder, None) if decoder is not None else [])


def _shown(decoder: av.VideoCodecContext, packet: av.Packet | None) -> list[tuple[int, int]]:
    return [(frame.pts, _light(frame)) for frame in decoder.decode(packet)]


def _light(frame: av.VideoFrame) -> int:
    plane = frame.planes[0]
    pixels = bytes(plane)
    rows = [pixels[y * plane.line_size :][: plane.width] for y in range(0, plane.height, 8)]
    return round(sum(map(sum, rows)) / (len(rows) * plane.width))


def heard(seconds: float, *, rate: int = 16_000, channels: int = 1, hertz: float = 440.0) -> list[AccessUnit]:
    """AAC of a tone."""
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    layout = "mono" if channels == 1 else "stereo"
    encoder.sample_rate, encoder.layout, encoder.format = rate, layout, "fltp"
    encoder.time_base = Fraction(1, rate)
    encoder.open()
    track = audio_track(2, Codec.AAC, sample_rate=rate, channels=channels)
    units = []
    for number in range(math.ceil(seconds * rate / 1024)):
        tone = array(
            "f", (0.5 * math.sin(2 * math.pi * hertz * (number * 1024 + i) / rate) for i in range(1024))
        )
        frame = av.AudioFrame("fltp", layout, 1024)
        frame.sample_rate = rate
        for plane in frame.planes:
            plane.update(tone.tobytes())
        frame.pts, frame.time_base = number * 1024, Fraction(1, rate)
        for packet in encoder.encode(frame):
            pts = packet.pts + 1024  # the encoder's priming lies before 0
            units.append(
                AccessUnit(track, bytes(packet), pts, pts, True, False, START_NS + pts * NS // rate, 0)
            )
    return units
