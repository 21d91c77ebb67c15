"""Encode the drawn picture live, in a thread of its own, for any number of cameras that show it.

The clock in the picture has to be true when it is sent, so nothing is encoded ahead. A picture counts
as captured at the moment for which it was due; drawing and encoding come after, as in a camera.

Belongs here: the encoder and its thread. Does not: drawing (painter), sending (players).
"""

import asyncio
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import av
from av.codec.context import Flags
from av.video.frame import PictureType

from vms.common.clock import NS, Clock
from vms.format import h264, nal
from vms.format.codecs import video_track
from vms.media import Codec, Track
from vms.virtual_camera.footage import MAX_PAYLOAD_BYTES, with_parameter_sets
from vms.virtual_camera.painter import Painter
from vms.wire.payload.h264 import packetize

GOP_S = 2
_LEAST_KEY_INTERVAL_S = 0.5
_NOISE_SHARE = 0.8  # of the bits; the rest of the picture, above all of key pictures, takes what is left


class PatternOptions(NamedTuple):
    """bitrate: bits a second. name: written into the picture; camera: its number in the clock strip."""

    width: int
    height: int
    frames_per_second: int
    bitrate: int
    name: str
    camera: int


class LivePicture(NamedTuple):
    """captured_ns: monotonic time that the picture's clock stands for."""

    captured_ns: int
    payloads: tuple[bytes, ...]
    key: bool


Take = Callable[[LivePicture], None]


class PictureEncoder:
    """Draws and encodes one picture after another. Not for several threads at once."""

    def __init__(self, options: PatternOptions) -> None:
        self._options = options
        self._context = _open_encoder(options)
        sets = tuple(bytes(unit) for unit in nal.split(nal.from_annex_b(self._context.extradata or b"")))
        self.track: Track = video_track(1, Codec.H264, sets)
        planes = av.VideoFrame(options.width, options.height, "yuv420p").planes
        noise_bits = _NOISE_SHARE * options.bitrate / options.frames_per_second
        self._painter = Painter(
            options.width,
            options.height,
            strides=(planes[0].line_size, planes[1].line_size),
            name=options.name,
            camera=options.camera,
            noise_bits=noise_bits,
        )

    def encode(self, wall_ns: int, number: int, *, key: bool = False) -> bytes:
        """The `number`-th picture as length-prefixed NAL units, parameter sets in front of key pictures."""
        planes = self._painter.paint(wall_ns, number)
        frame = av.VideoFrame(self._options.width, self._options.height, "yuv420p")
        for plane, data in zip(frame.planes, planes, strict=True):
            plane.update(data)  # type: ignore[arg-type]  # any buffer will do
        frame.pts = number
        frame.time_base = self._context.time_base
        if key:
            frame.pict_type = PictureType.I
        packets = self._context.encode(frame)
        access_unit = nal.from_annex_b(b"".join(bytes(packet) for packet in packets))
        return with_parameter_sets(self.track, access_unit) if h264.is_key(access_unit) else access_unit


class PatternSource:
    """One drawn picture, encoded while somebody takes it. Used on the event loop; encodes in a thread."""

    def __init__(self, options: PatternOptions, clock: Clock) -> None:
        self.track = PictureEncoder(options).track
        self.interval_ns = NS // options.frames_per_second
        self._options = options
        self._clock = clock
        self._takers: list[Take] = []
        self._stopping = threading.Event()
        self._key_wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def subscribe(self, take: Take) -> None:
        """Call `take` with every picture, on the event loop; the first picture is a key picture."""
        self._takers.append(take)
        if self._thread is None:
            self._stopping = threading.Event()
            self._thread = threading.Thread(
                target=self._run,
                args=(asyncio.get_running_loop(), self._stopping),
                name=f"pattern-{self._options.camera}",
                daemon=True,
            )
            self._thread.start()

    def unsubscribe(self, take: Take) -> None:
        """Call `take` no more; the encoder rests when it was the last."""
        self._takers.remove(take)
        if not self._takers:
            self._stopping.set()
            self._thread = None

    def want_key(self) -> None:
        """Make the next picture a key picture, unless there was one just now."""
        self._key_wanted.set()

    def _deliver(self, picture: LivePicture) -> None:
        for take in list(self._takers):
            take(picture)

    def _run(self, loop: asyncio.AbstractEventLoop, stopping: threading.Event) -> None:
        encoder = PictureEncoder(self._options)
        interval_ns = self.interval_ns
        start_ns = self._clock.monotonic_ns()
        number, last_key_ns = 0, 0
        while not stopping.is_set():
            captured_ns = start_ns + number * interval_ns
            wait_ns = captured_ns - self._clock.monotonic_ns()
            if wait_ns > 0 and stopping.wait(wait_ns / NS):
                break
            if wait_ns < -interval_ns:  # the machine does not keep up: leave pictures out, keep the time
                number += -wait_ns // interval_ns
                captured_ns = start_ns + number * interval_ns
            wall_ns = self._clock.wall_ns() - (self._clock.monotonic_ns() - captured_ns)
            key = False
            if self._key_wanted.is_set() and captured_ns - last_key_ns > _LEAST_KEY_INTERVAL_S * NS:
                self._key_wanted.clear()
                key = True
            access_unit = encoder.encode(wall_ns, number, key=key)
            key = h264.is_key(access_unit)
            last_key_ns = captured_ns if key else last_key_ns
            picture = LivePicture(captured_ns, tuple(packetize(access_unit, MAX_PAYLOAD_BYTES)), key)
            try:
                loop.call_soon_threadsafe(self._deliver, picture)
            except RuntimeError:  # the event loop was closed: nobody takes pictures any more
                return
            number += 1


def _open_encoder(options: PatternOptions) -> "av.VideoCodecContext":
    context = av.VideoCodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = options.width, options.height, "yuv420p"
    context.framerate = Fraction(options.frames_per_second)
    context.time_base = Fraction(1, options.frames_per_second)
    context.bit_rate = options.bitrate
    context.gop_size = GOP_S * options.frames_per_second
    context.max_b_frames = 0
    context.thread_count = 1
    context.flags |= Flags.global_header
    context.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "forced-idr": "1",
        "maxrate": str(options.bitrate),
        "bufsize": str(options.bitrate // 2),
        "x264-params": "scenecut=0",
    }
    context.open()
    return context
