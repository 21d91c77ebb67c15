"""A media file as an endless loop of RTP payloads, read once and shared by all cameras that show it.

Belongs here: reading files by PyAV, cutting pictures into payloads. Does not: when they leave (players).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av

from vms.common.errors import InvalidInput
from vms.format import h264, h265, nal
from vms.format.codecs import audio_track, video_track
from vms.media import Codec, MediaKind, Track
from vms.virtual_camera import configuration_record
from vms.virtual_camera.errors import FootageInvalid
from vms.wire.payload.by_codec import PACKETIZERS

MAX_PAYLOAD_BYTES = 1388  # 1400 with the RTP header: what cameras use, below any MTU on the way
MAX_FILE_BYTES = 1 << 30
G711_FRAME_BYTES = 160  # 20 ms, the packet length that RFC 3551 §4.2 recommends

_VIDEO_CODECS = {"h264": Codec.H264, "hevc": Codec.H265}
_AUDIO_CODECS = {
    "aac": Codec.AAC,
    "opus": Codec.OPUS,
    "libopus": Codec.OPUS,
    "pcm_mulaw": Codec.PCMU,
    "pcm_alaw": Codec.PCMA,
}
_AUD = {
    Codec.H264: h264.ACCESS_UNIT_DELIMITER,
    Codec.H265: h265.ACCESS_UNIT_DELIMITER,
}


class LoopUnit(NamedTuple):
    """One picture or audio frame. dts, pts: ticks from the first dts of its line; the first dts is 0.

    first_packet: how many packets of the line come before it in one loop.
    """

    dts: int
    pts: int
    key: bool
    payloads: tuple[bytes, ...]
    first_packet: int


@dataclass(frozen=True, slots=True)
class LoopLine:
    """One track of a loop.

    units: in decoding order, at least one. duration: ticks until its first unit comes again.
    offset: ticks from the beginning of the footage to its first unit.
    """

    track: Track
    units: Sequence[LoopUnit]
    duration: int
    offset: int = 0

    @property
    def packet_count(self) -> int:
        return self.units[-1].first_packet + len(self.units[-1].payloads)


@dataclass(frozen=True, slots=True)
class Footage:
    """A loop of one video line and at most one audio line.

    reorder_s: how long after its capture the encoder gave out a picture: its B-frames' delay.
    """

    lines: tuple[LoopLine, ...]
    reorder_s: Fraction


class _Sample(NamedTuple):
    dts: int
    pts: int
    duration: int
    key: bool
    data: bytes


def load(path: Path) -> Footage:
    """Read a file with H.264 or H.265 video; AAC, Opus and G.711 audio comes with it, other is left out.

    Blocks. Raises FootageInvalid.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FootageInvalid(
                path, f"is above {MAX_FILE_BYTES >> 20} MiB, and footage is kept in memory; cut a clip"
            )
        with av.open(str(path)) as container:
            return _read(path, container)
    except (OSError, av.error.FFmpegError) as error:
        raise FootageInvalid(path, f"cannot be read as media: {error.strerror}") from error
    except FootageInvalid:
        raise
    except InvalidInput as error:
        raise FootageInvalid(path, str(error)) from error


def loop_line(
    track: Track, samples: Sequence[tuple[int, int, bool, bytes]], duration: int, offset: int = 0
) -> LoopLine:
    """Cut samples of (dts, pts, key, data) into payloads; their dts begin with 0 and rise."""
    packetize = PACKETIZERS[track.codec]
    units: list[LoopUnit] = []
    packets = 0
    for dts, pts, key, data in samples:
        payloads = tuple(packetize(data, MAX_PAYLOAD_BYTES))
        units.append(LoopUnit(dts, pts, key, payloads, packets))
        packets += len(payloads)
    return LoopLine(track, units, duration, offset)


def with_parameter_sets(track: Track, access_unit: bytes) -> bytes:
    """A key picture with the track's parameter sets in front, as cameras send it; after a delimiter."""
    syntax = h264 if track.codec is Codec.H264 else h265
    if syntax.has_parameter_sets(access_unit):
        return access_unit
    units = list(nal.split(access_unit))
    first = int(syntax.nal_type(units[0]) == _AUD[track.codec]) if units else 0
    return nal.join([*units[:first], *track.parameter_sets, *units[first:]])


def _read(path: Path, container: "av.container.InputContainer") -> Footage:
    video = next((s for s in container.streams.video if s.codec_context.name in _VIDEO_CODECS), None)
    if video is None:
        raise FootageInvalid(
            path, "holds no H.264 or H.265 video; convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
        )
    audio = next((s for s in container.streams.audio if s.codec_context.name in _AUDIO_CODECS), None)
    streams = [video] if audio is None else [video, audio]
    packets: dict[int, list[av.Packet[Any]]] = {stream.index: [] for stream in streams}
    for packet in container.demux(streams):
        if packet.size:
            packets[packet.stream.index].append(packet)
    configuration = configuration_record.parse(
        _VIDEO_CODECS[video.codec_context.name], video.codec_context.extradata or b""
    )
    tracks = [video_track(1, _VIDEO_CODECS[video.codec_context.name], configuration.parameter_sets)]
    samples = [_samples(path, packets[video.index], tracks[0].clock_rate)]
    samples[0] = [_with_lengths(tracks[0], configuration, sample) for sample in samples[0]]
    if not samples[0] or not samples[0][0].key:
        raise FootageInvalid(path, "does not begin with a key picture; cut it at one")
    if audio is not None and packets[audio.index]:
        tracks.append(_audio_track(audio))
        samples.append(_audio_frames(tracks[1], _samples(path, packets[audio.index], tracks[1].clock_rate)))
    return _align(tracks, samples)


def _with_lengths(
    track: Track, configuration: configuration_record.Configuration, sample: _Sample
) -> _Sample:
    data = configuration.access_unit(sample.data)
    # Containers also mark pictures from which decoding recovers after a while; cameras' clients wait for these.
    key = h264.is_key(data) if track.codec is Codec.H264 else h265.is_key(data)
    return sample._replace(data=with_parameter_sets(track, data) if key else data, key=key)


def _samples(path: Path, packets: Sequence["av.Packet[Any]"], clock_rate: int) -> list[_Sample]:
    """Packets in ticks of `clock_rate`."""
    samples: list[_Sample] = []
    for packet in packets:
        if packet.dts is None or packet.pts is None or packet.time_base is None:
            raise FootageInvalid(path, "has no timestamps; remux it: ffmpeg -i IN -c copy OUT.mp4")
        ticks = packet.time_base * clock_rate
        samples.append(
            _Sample(
                round(packet.dts * ticks),
                round(packet.pts * ticks),
                round((packet.duration or 0) * ticks),
                packet.is_keyframe,
                bytes(packet),
            )
        )
    if any(later.dts <= earlier.dts for earlier, later in pairwise(samples)):
        raise FootageInvalid(path, "has decoding times that do not rise")
    return samples


def _audio_track(stream: "av.AudioStream") -> Track:
    context = stream.codec_context
    codec = _AUDIO_CODECS[context.name]
    configuration = context.extradata if codec is Codec.AAC else None
    return audio_track(
        2,
        codec,
        sample_rate=context.sample_rate,
        channels=context.layout.nb_channels,
        parameter_sets=(bytes(configuration),) if configuration else (),
    )


def _audio_frames(track: Track, samples: list[_Sample]) -> list[_Sample]:
    """`samples`, those of G.711 cut into frames of 20 ms: containers keep them in blocks of any size."""
    if track.codec not in (Codec.PCMU, Codec.PCMA):
        return samples
    size = G711_FRAME_BYTES * track.channels
    joined = b"".join(sample.data for sample in samples)
    first = samples[0].dts
    frames = [joined[start : start + size] for start in range(0, len(joined) - size + 1, size)]
    return [
        _Sample(
            first + index * G711_FRAME_BYTES, first + index * G711_FRAME_BYTES, G711_FRAME_BYTES, True, frame
        )
        for index, frame in enumerate(frames)
    ]


def _align(tracks: Sequence[Track], samples: Sequence[list[_Sample]]) -> Footage:
    """Put all lines on one zero, the earliest dts."""
    zero_s = min(
        Fraction(line[0].dts, track.clock_rate) for track, line in zip(tracks, samples, strict=True) if line
    )
    lines = []
    for track, line in zip(tracks, samples, strict=True):
        if not line:
            continue
        first, last = line[0].dts, line[-1]
        usual = last.dts - line[-2].dts if len(line) > 1 else track.clock_rate // 25
        # A container may cut the last audio frame short; what decodes from it is a whole one all the same.
        ending = usual if track.kind is MediaKind.AUDIO else last.duration or usual
        lines.append(
            loop_line(
                track,
                [(sample.dts - first, sample.pts - first, sample.key, sample.data) for sample in line],
                last.dts - first + ending,
                round(first - zero_s * track.clock_rate),
            )
        )
    video = samples[0]
    reorder = max(sample.pts - sample.dts for sample in video)
    return Footage(tuple(lines), Fraction(max(reorder, 0), tracks[0].clock_rate))
