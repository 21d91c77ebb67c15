"""A camera that plays a script: real H.264, a clock that the test moves, and what goes wrong on demand."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache

import av

from vms.common.camera import Camera
from vms.common.clock import NS, Clock, ManualClock
from vms.common.ids import CameraId
from vms.common.source_url import SourceUrl
from vms.format import nal
from vms.format.codecs import audio_track, video_track
from vms.media import AccessUnit, Codec, Gap, GapReason, Hub, Track
from vms.storage.service import StorageService

FPS = 25
GOP = 25
WIDTH, HEIGHT = 160, 96
NOON_NS = 1_795_435_200 * NS  # 2026-11-23T12:00:00Z


@cache
def pictures() -> tuple[Track, tuple[bytes, ...]]:
    """Two groups of 25 pictures of H.264, without parameter sets in band, and their track."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.gop_size = GOP
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast", "sc_threshold": "0", "bf": "0"}
    encoder.flags |= av.codec.context.Flags.global_header
    units = []
    for index in range(2 * GOP):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, shade in zip(frame.planes, (index * 5 % 256, 128, 128), strict=True):
            stripe = bytes(
                (shade + 40 * (column // 20 == index % 8)) % 256 for column in range(plane.line_size)
            )
            plane.update(stripe * plane.height)
        frame.pts = index
        units += [bytes(packet) for packet in encoder.encode(frame)]
    units += [bytes(packet) for packet in encoder.encode(None)]
    sets = [bytes(part) for part in nal.split(nal.from_annex_b(bytes(encoder.extradata)))]
    track = video_track(1, Codec.H264, [part for part in sets if part[0] & 31 in (7, 8)])
    return track, tuple(nal.from_annex_b(unit) for unit in units)


def sound() -> Track:
    return audio_track(2, Codec.PCMU, sample_rate=8000, channels=1)


def camera(camera_id: str = "porch", retention_s: float = 30 * 86400.0) -> Camera:
    return Camera(
        id=CameraId(camera_id), name=camera_id, source=SourceUrl("rtsp://h/s"), retention=retention_s
    )


class ScriptedCamera:
    """Pushes units into its hub as a camera does, and moves the clock as they come."""

    def __init__(
        self, clock: Clock, camera_id: str = "porch", *, video: bool = True, audio: bool = False
    ) -> None:
        self.clock = clock
        self.camera = camera(camera_id)
        self.hub = Hub(camera_id)
        self.video, self._data = pictures()
        self._has_video, self._has_audio = video, audio
        self.audio = sound()
        self.lag_ns = 0  # capture time behind the clock; negative is ahead
        self._frame = 0
        self._zero_ns = clock.wall_ns()
        self._discontinuity = False
        self._muted = False
        self.announce()

    def announce(self) -> None:
        self.hub.announce([*([self.video] * self._has_video), *([self.audio] * self._has_audio)])

    def play(self, seconds: float) -> None:
        """Pictures at 25 a second."""
        for _ in range(round(seconds * FPS)):
            self.push()
            self._pass(1 / FPS)

    def _pass(self, seconds: float) -> None:
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(seconds)

    def push(self) -> None:
        """One picture, and the sound of its time."""
        capture_ns = self.clock.wall_ns() - self.lag_ns
        index = self._frame % len(self._data)
        if self._has_video:
            dts = self._frame * 90_000 // FPS
            unit = AccessUnit(
                self.video, self._data[index], dts, dts, index % GOP == 0, self._discontinuity, capture_ns, 0
            )
            self.hub.push(unit)
        if self._has_audio and not self._muted:
            for part in range(2):
                dts = self._frame * 320 + part * 160
                late_ns = part * NS // 50
                self.hub.push(
                    AccessUnit(
                        self.audio,
                        b"\xff" * 160,
                        dts,
                        dts,
                        True,
                        self._discontinuity,
                        capture_ns + late_ns,
                        0,
                    )
                )
        self._frame += 1
        self._discontinuity = False

    def mute(self, muted: bool = True) -> None:
        """Sound that was announced does not come; its time goes on."""
        self._muted = muted

    def lose_packets(self, pictures: int = GOP) -> None:
        """Pictures go missing; the stream goes on with a key picture."""
        start_ns = self.clock.wall_ns()
        pictures += -(self._frame + pictures) % GOP
        self._frame += pictures
        self._pass(pictures / FPS)
        self._discontinuity = True
        self.hub.gap(Gap(start_ns, self.clock.wall_ns(), GapReason.PACKET_LOSS, "a packet was lost"))

    def disconnect(self) -> None:
        self.hub.gap(Gap(self.clock.wall_ns(), None, GapReason.CAMERA_LOST, "no answer"))

    def reconnect(self, after_s: float) -> None:
        """Back on a new timeline."""
        self._pass(after_s)
        self._frame = 0
        self._discontinuity = True

    def jump(self, seconds: float) -> None:
        """The camera's clock steps."""
        self.hub.gap(Gap(self.clock.wall_ns() - self.lag_ns, None, GapReason.CLOCK_JUMP, "clock"))
        self.lag_ns -= round(seconds * NS)
        self._frame = 0
        self._discontinuity = True

    def change_parameter_sets(self) -> None:
        """As an administrator of the camera does; with the next key picture."""
        self.video = replace(self.video, version=self.video.version + 1)
        self._frame += -self._frame % GOP
        self.announce()


async def until(condition: Callable[[], bool], what: str = "", timeout_s: float = 20) -> None:
    """Wait for a thread's work to arrive on the loop."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s for {what or condition}"
        await asyncio.sleep(0.002)


async def written(service: StorageService) -> None:
    """Wait until nothing is queued, every cut segment is closed and has its row, and its owner knows."""
    recording = service._recording
    for writer in recording.writers:
        await until(lambda writer=writer: writer.queue_bytes == 0, "the queue")
    current = {recorder.live for recorder in recording._recorders.values()}

    def quiet() -> bool:
        live = [each for each in recording._live() if each.error is None]
        return all(
            each.announced or not each.writer.fragments if each in current else each.finished.is_set()
            for each in live
        )

    await until(quiet, "segments to close")
    await asyncio.sleep(0.005)
    await recording.report()
