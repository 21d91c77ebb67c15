"""H.265 over WebTransport: what a client gets is what the camera's encoder made, and what a decoder is told of it."""

import io
from fractions import Fraction
from functools import cache

import av
from tests.stream.scripted_stream import FPS, Camera
from tests.stream.test_stream_websocket_live import picture_bytes
from tests.stream.webtransport_client import connected, serving

from vms.format import h265, nal
from vms.format.codecs import codec_string, video_track
from vms.format.mp4.live import LiveSample, build_live_fragment, build_live_init
from vms.media import Codec

SETS = (h265.VPS, h265.SPS, h265.PPS)


@cache
def h265_pictures() -> tuple[tuple[bytes, bool], ...]:
    """A second of them, each of another grey."""
    encoder = av.CodecContext.create("libx265", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x265-params": f"log-level=none:keyint={FPS}:bframes=0:repeat-headers=1",
    }
    packets: list[av.Packet] = []
    for number in range(FPS):
        frame = av.VideoFrame(320, 240, "yuv420p")
        luma, *chroma = frame.planes
        luma.update(bytes([40 + 6 * number]) * (luma.line_size * luma.height))
        for plane in chroma:
            plane.update(b"\x80" * (plane.line_size * plane.height))
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple((nal.from_annex_b(bytes(packet)), packet.is_keyframe) for packet in packets)


class H265Camera(Camera):
    def announce(self) -> None:
        self.pictures = h265_pictures()
        sets = [bytes(unit) for unit in nal.split(self.pictures[0][0]) if h265.nal_type(unit) in SETS]
        self.track = video_track(1, Codec.H265, sets)
        self.hub.announce([self.track])


def decoded(data: bytes, kind: str) -> list[bytes]:
    with av.open(io.BytesIO(data), format=kind) as container:
        return [picture_bytes(frame) for frame in container.decode(video=0)]


async def test_h265_comes_as_it_was_made_and_is_told_as_hvc1() -> None:
    camera = H265Camera()
    async with serving(camera) as served, connected(served.port) as client:
        camera.push()
        client.ask(served.path())
        await client.until(lambda: client.pictures)
        for _ in range(FPS - 1):
            camera.push()
            await client.until(lambda: len(client.pictures) == camera.pushed)
    config = client.configs[1]
    assert config["codec"] == codec_string(camera.track)
    assert config["codec"].startswith("hvc1.")
    samples = [LiveSample(each.data, 3600, each.pts - each.dts, each.key) for each in client.pictures]
    mp4 = build_live_init(camera.track) + build_live_fragment(1, camera.track.id, 0, samples)
    made = b"".join(nal.to_annex_b(data) for data, _ in h265_pictures())
    assert decoded(mp4, "mp4") == decoded(made, "hevc")
