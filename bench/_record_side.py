"""One side of `bench record` in a process of its own: footage through our write path, as fast as it goes.

    python -m bench._record_side FOLDER --cameras N --seconds S [--signed] [--sealed]

What cameras deliver is pushed into segments as a recorder does it, and written by a volume's writer to files that
are synced every second and closed. Prints one JSON object: wall_s, cpu_s (of this process, footage already in
memory), bytes, loop_s (CPU time of the loop's thread alone).
"""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path

import av
import uvloop

from bench._footage import clip
from vms.common.clock import NS, SystemClock
from vms.common.ids import uuid7
from vms.common.secrets import Secrets
from vms.config import EncryptionConfig, VolumeConfig
from vms.evidence.keys import ensure_keys, open_signer
from vms.format import nal
from vms.format.codecs import video_track
from vms.format.hybrid import SegmentIdentity, Signer
from vms.media import AccessUnit, Codec, Track
from vms.storage.errors import StorageError
from vms.storage.identity import KnownVolumes
from vms.storage.keyring import new_key_file
from vms.storage.layout import recording_name
from vms.storage.live import LiveSegment
from vms.storage.recording_volume import RecordingVolume
from vms.storage.writer import VolumeWriter

FPS = 25


@dataclass(frozen=True, slots=True)
class Footage:
    """Pictures of one camera, to be repeated: data and whether each is a key picture."""

    track: Track
    pictures: list[tuple[bytes, bool]]


def footage() -> Footage:
    """The benches' clip as a camera would deliver it."""
    with av.open(str(clip())) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.extradata is not None
        sets = _parameter_sets(bytes(stream.codec_context.extradata))
        packets = [(bytes(each), each.is_keyframe) for each in container.demux(stream) if each.size]
    return Footage(video_track(1, Codec.H264, sets), packets)


def _parameter_sets(extradata: bytes) -> list[bytes]:
    """Those of an ``avcC`` record (ISO 14496-15, 5.3.3.1)."""
    if extradata[0] != 1:
        return [bytes(part) for part in nal.split(nal.from_annex_b(extradata))]
    found, at = [], 6
    for count in (extradata[5] & 31, None):
        if count is None:
            count, at = extradata[at], at + 1
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2])
            found.append(extradata[at + 2 : at + 2 + size])
            at += 2 + size
    return found


class Owner:
    """Ends the bench when the disk refuses. Implements SegmentOwner."""

    def segment_began(self, live: LiveSegment) -> None:
        pass

    def segment_failed(self, live: LiveSegment, error: StorageError) -> None:
        raise SystemExit(f"bench record: {error}")


async def record(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Record all cameras and close their files; what it took."""
    signer: Signer | None = None
    if options.signed:
        ensure_keys(folder / "keys", "bench", Secrets(bytes(32)))
        signer = open_signer(folder / "keys", Secrets(bytes(32)))
    encryption = None
    if options.sealed:
        new_key_file(folder / "volume.key")
        encryption = EncryptionConfig(key_file=folder / "volume.key")
    config = VolumeConfig(path=folder / "volume", encryption=encryption)
    volume = RecordingVolume(config, SystemClock(), KnownVolumes(None), "bench")
    volume.open()
    volume.resume()
    writer = VolumeWriter(volume, signer=signer)
    source = footage()
    writer.start()
    began_s, cpu_s, loop_s = time.monotonic(), time.process_time(), time.thread_time()
    segments = await _push(writer, source, options.cameras, round(options.seconds * FPS))
    for live in segments:
        await live.finished.wait()
    took = {
        "wall_s": time.monotonic() - began_s,
        "cpu_s": time.process_time() - cpu_s,
        "loop_s": time.thread_time() - loop_s,
        "bytes": float(writer.bytes_written),
        "unsigned": float(writer.unsigned),
    }
    await writer.stop(30.0)
    volume.close()
    return took


async def _push(writer: VolumeWriter, source: Footage, cameras: int, pictures: int) -> list[LiveSegment]:
    owner, start_ns = Owner(), time.time_ns()
    segments: list[LiveSegment] = []
    for picture in range(pictures):
        data, key = source.pictures[picture % len(source.pictures)]
        dts, at_ns = picture * 90_000 // FPS, start_ns + picture * NS // FPS
        unit = AccessUnit(source.track, data, dts, dts, key, False, at_ns, 0)
        for camera in range(cameras):
            if picture == 0:
                name = f"camera-{camera}"
                identity = SegmentIdentity(uuid7(at_ns), name, "main")
                path = writer.volume.path / recording_name(name, at_ns, "main")
                segments.append(LiveSegment(identity, (source.track,), unit, path, owner))
                continue
            live = segments[camera]
            written = live.writer.push(unit)
            if written is not None:
                if not live.begun:
                    live.begun = True
                    writer.begin(live)
                writer.append(live, written)
        while writer.queue_bytes > writer.queue_limit_bytes // 8:
            await asyncio.sleep(0.001)
        if picture % 5 == 0:
            await asyncio.sleep(0)
    for live in segments:
        last = live.writer.flush()
        assert last is not None
        writer.append(live, last)
        writer.finish(live)
    return segments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cameras", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--signed", action="store_true")
    parser.add_argument("--sealed", action="store_true")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(record(options.folder, options))))


if __name__ == "__main__":
    main()
