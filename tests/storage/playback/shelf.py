"""Recording files on disk without a recorder: footage in, a RecordingStore out."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import av
import pytest

from vms.common.clock import NS
from vms.common.ids import CameraId, uuid7
from vms.format.codecs import audio_track, video_track
from vms.format.errors import FormatError
from vms.format.hybrid import (
    PreviousFile,
    Sealing,
    SegmentIdentity,
    SegmentWriter,
    Signer,
    WrittenFragment,
    fragment_digest,
    read_segment,
)
from vms.media import AccessUnit, Codec, Gap, MediaKind, Track
from vms.storage.body import PlainBody
from vms.storage.errors import SegmentNotFound, SegmentUnreadable
from vms.storage.playback import Playback
from vms.storage.segment import OpenFile, OpenSegment, Segment

PORCH = CameraId("porch")
NOON_NS = 1_795_435_200 * NS  # 2026-11-23T12:00:00Z


@dataclass
class Shelf:
    """Implements RecordingStore over files in `folder`. signer: closed files are signed by it, each after the last."""

    folder: Path
    files: dict[UUID, Segment] = field(default_factory=dict)
    recorded_gaps: list[Gap] = field(default_factory=list)
    opened: list[OpenFile] = field(default_factory=list)
    signer: Signer | None = None
    newest: PreviousFile | None = None

    async def segments(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Segment]:
        found = (s for s in self.files.values() if s.camera_id == camera_id)
        hits = (s for s in found if s.start_ns < end_ns and s.end_ns > start_ns)
        return sorted(hits, key=lambda segment: segment.start_ns)

    async def gaps(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Gap]:
        return [
            gap
            for gap in self.recorded_gaps
            if gap.start_ns < end_ns and (gap.end_ns is None or gap.end_ns > start_ns)
        ]

    async def segment(self, segment_id: UUID) -> Segment:
        if segment_id not in self.files:
            raise SegmentNotFound(segment_id)
        return self.files[segment_id]

    async def open(self, segment_id: UUID) -> OpenSegment:
        segment = await self.segment(segment_id)
        descriptor = os.open(segment.path, os.O_RDONLY)
        try:
            file = read_segment(lambda at, size: os.pread(descriptor, size, at), segment.size_bytes)
        except FormatError as error:
            os.close(descriptor)
            raise SegmentUnreadable(segment_id, str(error)) from error
        opened = OpenSegment(segment, file, PlainBody(descriptor))
        self.opened.append(opened)
        return opened

    async def open_file(self, segment_id: UUID) -> OpenFile:
        segment = await self.segment(segment_id)
        opened = OpenFile(segment, PlainBody(os.open(segment.path, os.O_RDONLY)))
        self.opened.append(opened)
        return opened

    async def keep_silent_inits(self, playback: Playback, playlist: str) -> None:
        """The init segments without sound that a playlist names, as files beside the recordings."""
        for segment_id in self.files:
            if (name := f"{segment_id}.init.mp4") in playlist:
                (self.folder / name).write_bytes(await playback.init_segment(PORCH, segment_id))

    def delete(self, segment_id: UUID) -> None:
        """What retention does."""
        self.files.pop(segment_id).path.unlink()

    @property
    def leaked(self) -> list[OpenFile]:
        """Files that were opened and never closed."""
        return [opened for opened in self.opened if not opened.closed]

    def record(
        self, units: Iterable[AccessUnit], *, file_s: float = 1e9, close: bool = True, stream: str = "main"
    ) -> list[Segment]:
        """Write units into files cut at key pictures, the last one left open unless `close`."""
        files: list[list[AccessUnit]] = []
        for unit in units:
            leads = unit.track.kind is MediaKind.VIDEO and unit.key
            if not files or (leads and unit.capture_ns - files[-1][0].capture_ns >= file_s * NS):
                files.append([])
            files[-1].append(unit)
        return [self._write(each, stream, close or each is not files[-1]) for each in files]

    def _write(self, units: Sequence[AccessUnit], stream: str, close: bool) -> Segment:
        tracks = list({unit.track.id: unit.track for unit in units}.values())
        identity = SegmentIdentity(uuid7(units[0].capture_ns), PORCH, stream)
        writer = SegmentWriter(tracks, identity)
        parts: list[bytes] = []
        digests: list[bytes] = []

        def keep(written: WrittenFragment | None) -> None:
            if written is not None:
                parts.extend(written.buffers)
                digests.append(fragment_digest(written.buffers))

        for number, unit in enumerate(units):
            if unit.discontinuity and number:
                keep(writer.flush())
            keep(writer.push(unit))
        if close:
            keep(writer.flush())
            finish = writer.finish(self._sealing(digests))
            if self.signer is not None:
                self.newest = PreviousFile(identity.segment_id, writer.chain_digest(digests))
        data = bytearray(b"".join([writer.header(), *parts]))
        if close:
            data += finish.tail
            data[finish.flip_offset : finish.flip_offset + len(finish.flip)] = finish.flip
        path = self.folder / f"{identity.segment_id}.mp4"
        path.write_bytes(data)
        fragments = writer.fragments
        segment = Segment(
            id=identity.segment_id,
            camera_id=PORCH,
            stream=stream,
            path=path,
            start_ns=fragments[0].start_ns,
            end_ns=fragments[-1].end_ns,
            size_bytes=len(data),
            closed=close,
            video=next((t.codec for t in tracks if t.kind is MediaKind.VIDEO), None),
            audio=next((t.codec for t in tracks if t.kind is MediaKind.AUDIO), None),
        )
        self.files[segment.id] = segment
        return segment

    def _sealing(self, digests: Sequence[bytes]) -> Sealing | None:
        if self.signer is None:
            return None
        return Sealing(digests, self.signer, time.time_ns(), self.newest)


def demux(path: Path, *, start_ns: int = NOON_NS) -> list[AccessUnit]:
    """The access units of an MP4, on a stream timeline from 1 s on, as ingest would make them.

    The first picture was captured at `start_ns`.
    """
    with av.open(str(path)) as container:
        tracks = {stream.index: _track(stream) for stream in container.streams}
        packets = [packet for packet in container.demux() if packet.dts is not None]
    packets.sort(key=lambda packet: packet.dts * packet.time_base)
    origin = min(packet.dts * packet.time_base for packet in packets) - 1
    shown = [p for p in packets if tracks[p.stream_index].kind is MediaKind.VIDEO] or packets
    first = min(packet.pts * packet.time_base for packet in shown)
    units, last_ns = [], {}
    for packet in packets:
        track = tracks[packet.stream_index]
        dts, pts = (
            round((when * packet.time_base - origin) * track.clock_rate) for when in (packet.dts, packet.pts)
        )
        capture_ns = start_ns + round((packet.pts * packet.time_base - first) * NS)
        last_ns[track.id] = capture_ns = max(capture_ns, last_ns.get(track.id, 0))
        key = packet.is_keyframe or track.kind is MediaKind.AUDIO
        units.append(AccessUnit(track, bytes(packet), dts, pts, key, False, capture_ns, 0))
    units[0] = units[0]._replace(discontinuity=True)
    return units


def _track(stream: "av.stream.Stream") -> Track:
    context = stream.codec_context
    if stream.type == "audio":
        return audio_track(
            stream.index + 1,
            Codec.AAC,
            sample_rate=context.sample_rate,
            channels=context.channels,
            parameter_sets=(bytes(context.extradata),),
        )
    record = bytes(context.extradata)
    if context.name == "hevc":
        return video_track(stream.index + 1, Codec.H265, _hvcc_sets(record))
    return video_track(stream.index + 1, Codec.H264, _avcc_sets(record))


def _hvcc_sets(record: bytes) -> tuple[bytes, ...]:
    """VPS, SPS and PPS of an hvcC (ISO 14496-15 §8.3.3.1)."""
    sets, at = [], 23
    for _ in range(record[22]):
        kind, count, at = record[at] & 0x3F, int.from_bytes(record[at + 1 : at + 3]), at + 3
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2])
            if kind in (32, 33, 34):  # x265 puts an SEI there as well
                sets.append(record[at + 2 : at + 2 + size])
            at += 2 + size
    return tuple(sets)


def _avcc_sets(record: bytes) -> tuple[bytes, ...]:
    """SPS and PPS of an avcC (ISO 14496-15 §5.3.3.1)."""
    sets, at = [], 5
    for mask in (0x1F, 0xFF):
        count, at = record[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2])
            sets.append(record[at + 2 : at + 2 + size])
            at += 2 + size
    return tuple(sets)


def make_movie(
    path: Path,
    *,
    seconds: float,
    fps: int = 25,
    gop: int = 25,
    b_frames: int = 0,
    sound: bool = False,
    codec: str = "libx264",
) -> Path:
    """A small moving test picture, H.264 or H.265, optionally with AAC sound, as MP4; every picture differs."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed; see scripts/setup-dev.sh")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    command += ["-f", "lavfi", "-i", f"testsrc2=size=160x120:rate={fps}:duration={seconds}"]
    if sound:
        command += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}"]
        command += ["-c:a", "aac", "-b:a", "32k"]
    command += ["-c:v", codec, "-preset", "veryfast", "-g", str(gop), "-keyint_min", str(gop)]
    if codec == "libx265":
        command += ["-x265-params", f"scenecut=0:open-gop=0:bframes={b_frames}:log-level=error"]
    command += ["-sc_threshold", "0", "-bf", str(b_frames), "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True, timeout=120)
    return path


def moved(units: Sequence[AccessUnit], *, wall_s: float = 0.0, timeline_s: float = 0.0) -> list[AccessUnit]:
    """The same units captured later, or put elsewhere on the stream's timeline."""
    shifted = []
    for unit in units:
        ticks = round(timeline_s * unit.track.clock_rate)
        shifted.append(
            unit._replace(
                dts=unit.dts + ticks, pts=unit.pts + ticks, capture_ns=unit.capture_ns + round(wall_s * NS)
            )
        )
    return shifted


def with_telephone_sound(units: Sequence[AccessUnit]) -> list[AccessUnit]:
    """The pictures of `units` with a tone of G.711 µ-law, 8 kHz, 20 ms a packet."""
    shown = [unit for unit in units if unit.track.kind is MediaKind.VIDEO]
    track = audio_track(2, Codec.PCMU, sample_rate=8000, channels=1)
    first, last = shown[0], shown[-1]
    start = first.dts * 8000 // 90_000
    packets = range((last.dts - first.dts) * 50 // 90_000)
    tone = bytes(0x80 | index % 10 for index in range(160))
    heard = [
        AccessUnit(
            track, tone, start + n * 160, start + n * 160, True, False, first.capture_ns + n * NS // 50, 0
        )
        for n in packets
    ]
    return sorted(shown + heard, key=lambda unit: (unit.dts / unit.track.clock_rate, unit.track.id))


def with_other_parameter_sets(units: Sequence[AccessUnit], sets: tuple[bytes, ...]) -> list[AccessUnit]:
    """The same units on a track of the next version."""
    track = replace(units[0].track, parameter_sets=sets, version=units[0].track.version + 1)
    return [unit._replace(track=track) for unit in units]


def packets(path: Path, stream: str = "v:0") -> list[str]:
    """The MD5 of each packet that a demuxer finds in a playlist or file, in order."""
    command = ["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", "packet=data_hash"]
    command += ["-show_data_hash", "MD5", "-of", "csv=p=0", *_EXTENSIONS[path.suffix], str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [line.strip(",") for line in run.stdout.split()]


_EXTENSIONS = {".m3u8": ["-allowed_extensions", "ALL"], ".mp4": []}
