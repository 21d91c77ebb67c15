"""A camera that browsers cannot play by WebRTC is transcoded for those who ask, and only while they look."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from tests.e2e.system import PATIENCE_S, System, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("gst-rtsp-server")]
B_FRAMES = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=25/1 "
    "! x264enc key-int-max=25 bframes=2 b-adapt=false ! video/x-h264,profile=main ! rtph264pay name=pay0 pt=96"
)


async def _frames(url: str, wanted: int) -> tuple[int, int]:
    """Watch by WHEP with a client that is not ours: pictures decoded, and how tall they were."""
    connection = RTCPeerConnection()
    tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    connection.on("track", tracks.put_nowait)
    connection.addTransceiver("video", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        answer = await client.post(
            url, content=connection.localDescription.sdp, headers={"Content-Type": "application/sdp"}
        )
        assert answer.status_code == 201, answer.text
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        height = 0
        async with asyncio.timeout(PATIENCE_S):
            track = await tracks.get()
            for _ in range(wanted):
                height = (await track.recv()).height  # type: ignore[union-attr]
        await client.delete(httpx.URL(url).join(answer.headers["Location"]))
    await connection.close()
    return wanted, height


@pytest.mark.parametrize("options", [(), ("--single-process",)], ids=["processes", "one-process"])
def test_a_camera_with_b_frames_is_watched_transcoded(
    options: tuple[str, ...], serve: Callable[..., System], gst_camera: Callable[..., str]
) -> None:
    camera = {"id": "porch", "name": "Porch", "source": gst_camera(B_FRAMES), "record": "off"}
    system = serve([camera], *options, transcode={"max_height": 180})
    wait_for("B-frames seen", lambda: system.camera("porch")["webrtc"]["reason"] == "b_frames")
    whep = f"{system.http.base_url}cameras/porch/whep"

    refused = system.http.post(
        "/cameras/porch/whep", content="v=0", headers={"Content-Type": "application/sdp"}
    )
    assert refused.status_code == 409
    assert asyncio.run(_frames(f"{whep}?stream=compat", 40)) == (40, 180)

    wait_for("pictures counted", lambda: _values(system, "vms_transcode_pictures_total") >= [40])
    wait_for("the end of it", lambda: _values(system, "vms_transcodes") == [0])


def _values(system: System, name: str) -> list[float]:
    return [sample.value for sample in system.metrics(name)]
