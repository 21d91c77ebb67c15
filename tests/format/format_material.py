"""Access units and recordings to test with: some made by real encoders, some by hand."""

import hashlib
import math
import subprocess
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from uuid import UUID

import av

from vms.format import h264, h265, nal
from vms.format.codecs import audio_track, video_track
from vms.format.hybrid import Finish, Fragment, SegmentIdentity, SegmentWriter
from vms.media import AccessUnit, Codec, Track

NS = 1_000_000_000
START_NS = 1_795_442_700 * NS + 123_456_789
IDENTITY = SegmentIdentity(UUID("019ab000-0000-7000-8000-00000000cafe"), "front-door", "main")

# Of ../shared/data/vtest_h264.mp4: High, 768×576, two B-frames deep
SPS = bytes.fromhex("6764001facd940c0126840000003004000000503c60c6580")
PPS = bytes.fromhex("68ef8bcb")

VIDEO = video_track(1, Codec.H264, (SPS, PPS))
AUDIO = audio_track(2, Codec.PCMU, sample_rate=8000, channels=1)

ReadAt = Callable[[int, int], bytes]


def read_at(data: bytes | bytearray) -> ReadAt:
    """What a file of `data` answers."""
    frozen = bytes(data)
    return lambda offset, size: frozen[offset : offset + size]


def unit(
    track: Track,
    dts: int,
    *,
    key: bool = True,
    pts: int | None = None,
    data: bytes | None = None,
    capture_ns: int | None = None,
) -> AccessUnit:
    """A unit that nothing can decode, for tests that decode nothing."""
    wall_ns = START_NS + dts * NS // track.clock_rate if capture_ns is None else capture_ns
    body = dts.to_bytes(8) * 3 if data is None else data
    return AccessUnit(track, body, dts, dts if pts is None else pts, key, False, wall_ns, 0)


def pictures(
    seconds: float, *, fps: int = 25, gop: int = 50, start: int = 0, track: Track = VIDEO
) -> list[AccessUnit]:
    """Made-up pictures at `fps`, a key picture every `gop`."""
    step = track.clock_rate // fps
    return [unit(track, start + i * step, key=i % gop == 0) for i in range(round(seconds * fps))]


def sounds(seconds: float, *, start: int = 0, track: Track = AUDIO) -> list[AccessUnit]:
    """Made-up audio frames of 20 ms."""
    step = track.clock_rate // 50
    return [unit(track, start + i * step) for i in range(round(seconds * 50))]


def interleave(*tracks: Iterable[AccessUnit]) -> list[AccessUnit]:
    """As they would arrive: by time."""
    return sorted((each for units in tracks for each in units), key=lambda u: u.dts / u.track.clock_rate)


@dataclass
class Recording:
    """A recording as bytes, at every stage of its closing."""

    writer: SegmentWriter
    fragments: list[Fragment]
    open: bytes
    finish: Finish

    @property
    def with_tail(self) -> bytes:
        return self.open + self.finish.tail

    @property
    def closed(self) -> bytes:
        data = bytearray(self.with_tail)
        data[self.finish.flip_offset : self.finish.flip_offset + 16] = self.finish.flip
        return bytes(data)


def record(
    tracks: Sequence[Track],
    units: Sequence[AccessUnit],
    *,
    max_fragment_s: float = 0.5,
    expected: Collection[int] = (),
) -> Recording:
    """Write `units` as the recorder does."""
    writer = SegmentWriter(tracks, IDENTITY, max_fragment_s=max_fragment_s, expected=expected)
    written = [writer.push(each) for each in units]
    written.append(writer.flush())
    data = bytearray(writer.header())
    for fragment in written:
        if fragment is not None:
            assert fragment.fragment.offset == len(data)
            data += b"".join(fragment.buffers)
            assert fragment.fragment.end == len(data)
    assert writer.size == len(data)
    return Recording(writer, writer.fragments, bytes(data), writer.finish())


@cache
def encoded_video(
    codec: Codec,
    frames: int = 100,
    *,
    b_frames: int = 0,
    gop: int = 25,
    in_band: bool = False,
    size: tuple[int, int] = (160, 120),
    track_id: int = 1,
) -> tuple[AccessUnit, ...]:
    """A moving picture by libx264 or libx265 at 25 pictures a second."""
    context = av.CodecContext.create("libx264" if codec is Codec.H264 else "libx265", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    if codec is Codec.H264:
        context.options = {"bf": str(b_frames), "g": str(gop), "threads": "1", "preset": "veryfast"}
    else:
        parameters = f"log-level=none:bframes={b_frames}:keyint={gop}:min-keyint={gop}:open-gop=0:pools=1"
        context.options = {"x265-params": parameters, "preset": "ultrafast"}
    packets = [packet for frame in _moving_pictures(frames, size) for packet in context.encode(frame)]
    packets += context.encode(None)
    kinds = (h264.SPS, h264.PPS) if codec is Codec.H264 else (h265.VPS, h265.SPS, h265.PPS)
    nal_type = h264.nal_type if codec is Codec.H264 else h265.nal_type
    first = [bytes(each) for each in nal.split(nal.from_annex_b(bytes(packets[0])))]
    track = video_track(track_id, codec, [each for each in first if nal_type(each) in kinds])
    delay = -min(packet.dts for packet in packets)
    units = []
    for packet in packets:
        nals = list(nal.split(nal.from_annex_b(bytes(packet))))
        data = nal.join(each for each in nals if in_band or nal_type(each) not in kinds)
        dts, pts = ((time + delay + 25) * 3600 for time in (packet.dts, packet.pts))
        units.append(unit(track, dts, pts=pts, key=packet.is_keyframe, data=data))
    return tuple(units)


def _moving_pictures(frames: int, size: tuple[int, int]) -> Iterable[av.VideoFrame]:
    for index in range(frames):
        frame = av.VideoFrame(*size, "yuv420p")
        for number, plane in enumerate(frame.planes):
            row = bytes((x * 3 + index * 5 * (number + 1)) % 200 + 20 for x in range(plane.line_size))
            plane.update(b"".join(row[y % 16 :] + row[: y % 16] for y in range(plane.height)))
        frame.pts = index
        yield frame


@cache
def encoded_audio(codec: Codec, seconds: float, *, start_s: float = 1.0) -> tuple[AccessUnit, ...]:
    """A tone, mono."""
    name = {Codec.AAC: "aac", Codec.OPUS: "libopus", Codec.PCMU: "pcm_mulaw", Codec.PCMA: "pcm_alaw"}[codec]
    rate = 48_000 if codec in (Codec.AAC, Codec.OPUS) else 8_000
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout, context.time_base = rate, "mono", Fraction(1, rate)
    context.format = "fltp" if codec is Codec.AAC else "s16"
    context.open()
    length = context.frame_size or rate // 50
    data = []
    for position in range(0, round(seconds * rate), length):
        wave = [0.3 * math.sin((position + i) * 2 * math.pi * 440 / rate) for i in range(length)]
        frame = av.AudioFrame(format=context.format.name, layout="mono", samples=length)
        samples = array("f", wave) if codec is Codec.AAC else array("h", (round(x * 32767) for x in wave))
        plane = frame.planes[0]
        plane.update(samples.tobytes().ljust(plane.buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
        data += [bytes(packet) for packet in context.encode(frame)]
    sets = (bytes(context.extradata),) if codec is Codec.AAC and context.extradata else ()
    track = audio_track(2, codec, sample_rate=rate, channels=1, parameter_sets=sets)
    start = round(start_s * rate)
    return tuple(unit(track, start + i * length, data=each) for i, each in enumerate(data))


def footage_units(path: Path) -> list[AccessUnit]:
    """The pictures of an MP4 that we did not write, a second after the start of the timeline."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.extradata is not None
        track = video_track(1, Codec.H264, _parameter_sets(stream.codec_context.extradata))
        packets = [packet for packet in container.demux(stream) if packet.size]
        scale = stream.time_base * 90_000
        first = round(packets[0].dts * scale) - 90_000
        return [
            unit(
                track,
                round(packet.dts * scale) - first,
                pts=round(packet.pts * scale) - first,
                key=packet.is_keyframe,
                data=bytes(packet),
            )
            for packet in packets
        ]


def _parameter_sets(record: bytes) -> list[bytes]:
    sets, position = [], 6
    for many in (record[5] & 0x1F, None):
        if many is None:
            many, position = record[position], position + 1
        for _ in range(many):
            size = int.from_bytes(record[position : position + 2])
            sets.append(record[position + 2 : position + 2 + size])
            position += 2 + size
    return sets


def decoded_frames(units: Sequence[AccessUnit]) -> list[av.VideoFrame]:
    """What a decoder that never saw an MP4 makes of `units`, in order of output."""
    track = units[0].track
    context = av.CodecContext.create("h264" if track.codec is Codec.H264 else "hevc", "r")
    assert isinstance(context, av.VideoCodecContext)
    sets = nal.to_annex_b(nal.join(track.parameter_sets))
    packets = [av.Packet(sets + nal.to_annex_b(units[0].data))]
    packets += [av.Packet(nal.to_annex_b(each.data)) for each in units[1:]]
    return [frame for packet in [*packets, None] for frame in context.decode(packet)]


def digest(data: bytes | av.VideoFrame) -> str:
    """As ffmpeg's framemd5 says it."""
    if isinstance(data, bytes):
        return hashlib.md5(data).hexdigest()
    rows = []
    for plane in data.planes:
        pixels = bytes(plane)
        rows += [pixels[y * plane.line_size :][: plane.width] for y in range(plane.height)]
    return hashlib.md5(b"".join(rows)).hexdigest()


def ffmpeg_frames(path: Path, stream: str = "0:v") -> list[str]:
    """The digest of every frame that ffmpeg decodes, without a complaint."""
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-map", stream, "-autoscale", "0"]
    output = subprocess.run(
        [*command, "-fps_mode", "passthrough", "-f", "framemd5", "-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert output.returncode == 0, output.stderr
    assert output.stderr == ""
    return [line.split(",")[-1].strip() for line in output.stdout.splitlines() if not line.startswith("#")]


def raw_packet_digests(path: Path, stream: str = "0:a") -> list[str]:
    """The digest of every packet as stored, undecoded."""
    command = ["ffmpeg", "-v", "error", "-ignore_editlist", "1", "-i", str(path), "-map", stream]
    output = subprocess.run(
        [*command, "-c", "copy", "-f", "framemd5", "-"], capture_output=True, text=True, check=True
    )
    assert output.stderr == ""
    return [line.split(",")[-1].strip() for line in output.stdout.splitlines() if not line.startswith("#")]
