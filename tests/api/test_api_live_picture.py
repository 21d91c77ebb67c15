"""Pictures of live cameras, decoded for real."""

import asyncio
import io
from collections.abc import Sequence
from fractions import Fraction

import av
import httpx
import pytest
from tests.api.stand_ins import NOW_NS, Backend

from vms.api.live_picture import GOP_MAX_PICTURES, LivePictures
from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.format import codecs, nal
from vms.media import AccessUnit, Codec, Hub, Track
from vms.stream.hubs import own_hubs

PORCH = CameraId("porch")


def encoded(count: int) -> list[AccessUnit]:
    """A group of `count` pictures, each brighter than the one before, as H.264 access units."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "1000", "bf": "0"}
    packets = []
    for number in range(count):
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane, value in zip(frame.planes, (10 + 20 * number, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return units(packets)


def units(packets: Sequence[av.Packet]) -> list[AccessUnit]:
    track: Track | None = None
    found = []
    for number, packet in enumerate(packets):
        data = nal.from_annex_b(bytes(packet))
        if track is None:
            sets = tuple(bytes(part) for part in nal.split(data) if part[0] & 31 in (7, 8))
            track = codecs.video_track(1, Codec.H264, sets)
        capture_ns = NOW_NS + number * 40_000_000
        found.append(AccessUnit(track, data, number * 3600, number * 3600, number == 0, False, capture_ns, 0))
    return found


def brightness(jpeg: bytes) -> float:
    with av.open(io.BytesIO(jpeg)) as container:
        plane = next(container.decode(video=0)).reformat(format="gray").planes[0]
        return bytes(plane)[plane.line_size * 100 + 100]


async def test_the_newest_picture_of_a_live_camera_is_shown(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    hub = backend.streams.lease(PORCH).hub
    for unit in encoded(8):
        hub.push(unit)
    answer = await client.get("/api/v1/cameras/porch/snapshot.jpg")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert abs(brightness(answer.content) - 156) < 15, "the eighth picture, in full range"


async def test_requests_that_come_together_share_one_decode() -> None:
    hub, decoded = Hub("porch"), []
    for unit in encoded(3):
        hub.push(unit)

    def decode(track: Track, data: Sequence[bytes]) -> bytes:
        decoded.append(len(data))
        return b"jpeg"

    pictures = LivePictures(own_hubs(lambda _: hub), decode)
    found = await asyncio.gather(*(pictures.newest(PORCH) for _ in range(5)))
    assert {picture.jpeg for picture in found} == {b"jpeg"}
    assert decoded == [3]
    await pictures.newest(PORCH)
    assert decoded == [3, 3]


async def test_of_a_very_long_group_only_the_key_picture_is_decoded() -> None:
    hub, first = Hub("porch"), encoded(1)[0]
    hub.push(first)
    for number in range(1, GOP_MAX_PICTURES + 2):
        hub.push(first._replace(key=False, dts=number, pts=number, capture_ns=first.capture_ns + number))
    pictures = LivePictures(own_hubs(lambda _: hub), lambda _, data: b"%d" % len(data))
    picture = await pictures.newest(PORCH)
    assert (picture.jpeg, picture.capture_ns) == (b"1", first.capture_ns)


async def test_a_picture_that_cannot_be_decoded_is_the_cameras_fault_and_not_the_requests() -> None:
    hub = Hub("porch")
    hub.push(encoded(1)[0]._replace(data=b"\0\0\0\2\x65\x88"))
    with pytest.raises(Unavailable, match="cannot be decoded"):
        await LivePictures(own_hubs(lambda _: hub)).newest(PORCH)


async def test_without_a_picture_it_is_unavailable_and_a_later_request_starts_over() -> None:
    hub = Hub("porch")
    pictures = LivePictures(own_hubs(lambda _: hub), lambda *_: b"jpeg")
    with pytest.raises(Unavailable, match="no picture"):
        await pictures.newest(PORCH)
    hub.push(encoded(1)[0])
    assert (await pictures.newest(PORCH)).jpeg == b"jpeg"
