"""A camera made of libx264 pictures, and a viewer that decrypts what it gets."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from functools import cache

import av
from aiortc.codecs.h264 import H264PayloadDescriptor
from bench._viewer import VIDEO_PAYLOAD_TYPE, SinkViewer

from vms.common.clock import NS, SystemClock
from vms.common.ids import CameraId
from vms.format import h264, nal
from vms.format.codecs import audio_track, video_track
from vms.media import AccessUnit, Codec, Hub, Track
from vms.stream import Answer
from vms.wire import rtcp, rtp

CAMERA = CameraId("porch")
FPS = 25
RTX_PAYLOAD_TYPE = 103


def with_rtx(offer: str) -> str:
    """An offer of SinkViewer that takes retransmissions and tells estimated bit rates too."""
    audio = offer.find("m=audio")
    video, rest = (offer, "") if audio < 0 else (offer[:audio], offer[audio:])
    video = video.replace(f"SAVPF {VIDEO_PAYLOAD_TYPE}", f"SAVPF {VIDEO_PAYLOAD_TYPE} {RTX_PAYLOAD_TYPE}")
    lines = [
        f"a=rtpmap:{RTX_PAYLOAD_TYPE} rtx/90000",
        f"a=fmtp:{RTX_PAYLOAD_TYPE} apt={VIDEO_PAYLOAD_TYPE}",
        f"a=rtcp-fb:{VIDEO_PAYLOAD_TYPE} goog-remb",
    ]
    return video + "".join(line + "\r\n" for line in lines) + rest


@cache
def h264_pictures(
    count: int = 50, *, profile: str = "baseline", gop: int = 25, width: int = 320, b_frames: int = 0
) -> tuple[tuple[bytes, bool], ...]:
    """`count` length-prefixed access units of a moving picture with their key flag, sets in band."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, width * 3 // 4, "yuv420p"
    encoder.time_base = Fraction(1, FPS)
    encoder.framerate = Fraction(FPS)
    encoder.gop_size, encoder.max_b_frames = gop, b_frames
    encoder.options = {"preset": "ultrafast", "profile": profile, "x264-params": f"keyint={gop}:scenecut=0"}
    if b_frames == 0:
        encoder.options |= {"tune": "zerolatency"}
    packets: list[av.Packet] = []
    noise = random.Random(1)
    for number in range(count):
        frame = av.VideoFrame(width, encoder.height, "yuv420p")
        luma, *chroma = frame.planes
        rows = bytearray(b"\x40" * (luma.line_size * luma.height))
        for row in range(20, 84):
            at = row * luma.line_size + number * 8 % (width - 64)
            rows[at : at + 64] = noise.randbytes(64)
        luma.update(bytes(rows))
        for plane in chroma:
            plane.update(b"\x80" * (plane.line_size * plane.height))
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple((nal.from_annex_b(bytes(packet)), packet.is_keyframe) for packet in packets)


def track_of(pictures: tuple[tuple[bytes, bool], ...], version: int = 0) -> Track:
    sets = [bytes(unit) for unit in nal.split(pictures[0][0]) if h264.nal_type(unit) in (h264.SPS, h264.PPS)]
    return video_track(1, Codec.H264, sets, version)


def without_parameter_sets(data: bytes) -> bytes:
    return nal.join(u for u in nal.split(data) if h264.nal_type(u) not in (h264.SPS, h264.PPS))


class Camera:
    """Pushes pictures, and sound where it has a track for it, into a hub as a source would."""

    def __init__(
        self,
        pictures: tuple[tuple[bytes, bool], ...] | None = None,
        *,
        audio: Codec | None = None,
        in_band: bool = True,
    ) -> None:
        self.pictures = pictures or h264_pictures()
        self.hub = Hub("porch")
        self.track = track_of(self.pictures)
        self.audio = audio_track(2, audio, sample_rate=8000, channels=1) if audio else None
        self.in_band = in_band
        self.pushed = 0
        self.ticks = 0
        self.discontinuity = False
        self.clock = SystemClock()
        self.announce()

    def announce(self) -> None:
        self.hub.announce([self.track, self.audio] if self.audio else [self.track])

    def show(self, pictures: tuple[tuple[bytes, bool], ...]) -> None:
        """Go on with other pictures, beginning with a key picture, as after a change of resolution."""
        self.pictures = pictures
        self.track = track_of(pictures, self.track.version + 1)
        self.pushed = 0
        self.announce()

    def restart_timeline(self) -> None:
        self.ticks = 0
        self.discontinuity = True

    def push(self) -> AccessUnit:
        """The next picture, and the sound up to it."""
        data, key = self.pictures[self.pushed % len(self.pictures)]
        if not self.in_band:
            data = without_parameter_sets(data)
        pts = self.ticks * 90_000 // FPS
        now_ns, wall_ns = self.clock.monotonic_ns(), self.clock.wall_ns()
        unit = AccessUnit(self.track, data, pts, pts, key, self.discontinuity, wall_ns, now_ns)
        self.discontinuity = False
        self.hub.push(unit)
        if self.audio:
            pts = self.ticks * 320
            self.hub.push(AccessUnit(self.audio, bytes([0xD5]) * 320, pts, pts, True, False, wall_ns, now_ns))
        self.pushed += 1
        self.ticks += 1
        return unit

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """Push in real time, as clients that decode expect it."""

        async def run() -> None:
            begun_ns, pushed = self.clock.monotonic_ns(), 0
            while True:
                self.push()
                pushed += 1
                due_ns = begun_ns + pushed * NS // FPS
                await asyncio.sleep(max(0, due_ns - self.clock.monotonic_ns()) / NS)

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Watcher:
    """A viewer that decrypts what it gets: RTP packets of the two tracks, RTCP."""

    def __init__(self, viewer: SinkViewer, answer: Answer) -> None:
        self.viewer = viewer
        self.session_id = answer.session_id
        self.video: list[bytes] = []
        self.audio: list[bytes] = []
        self.rtx: list[bytes] = []
        self.rtcp: list[rtcp.Packet] = []
        self.raw: list[bytes] = []  # video as encrypted
        self.drop: Callable[[int], bool] = lambda number: False
        self._arrived = asyncio.Event()

    def take(self, datagram: bytes) -> None:
        if 192 <= datagram[1] <= 223:
            self.rtcp += rtcp.parse(self.viewer.open_rtcp(datagram))
        else:
            packet = self.viewer.open_rtp(datagram)
            if packet[1] & 0x7F == VIDEO_PAYLOAD_TYPE:
                self.video.append(packet)
                self.raw.append(datagram)
            elif packet[1] & 0x7F == RTX_PAYLOAD_TYPE:
                self.rtx.append(packet)
            else:
                self.audio.append(packet)
        self._arrived.set()

    @property
    def headers(self) -> list[rtp.RtpPacket]:
        return [rtp.parse(packet) for packet in self.video]

    def pictures(self) -> list[bytes]:
        """Access units in the order of their packets, put together by aiortc's depacketizer."""
        packets = sorted(self.video, key=lambda packet: rtp.parse(packet).sequence_number)
        pictures: dict[int, list[bytes]] = {}
        for packet in packets:
            header = rtp.parse(packet)
            payload = packet[header.payload_start : header.payload_end]
            pictures.setdefault(header.timestamp, []).append(H264PayloadDescriptor.parse(payload)[1])
        return [nal.from_annex_b(b"".join(parts)) for parts in pictures.values()]

    def reports(self, ssrc: int) -> list[rtcp.SenderReport]:
        return [
            packet for packet in self.rtcp if isinstance(packet, rtcp.SenderReport) and packet.ssrc == ssrc
        ]

    async def until(self, condition: Callable[[], object], timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()
