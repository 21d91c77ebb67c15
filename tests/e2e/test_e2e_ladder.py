"""A camera that WebRTC cannot carry is watched all the same: its B-frames come to the tile over WebSocket."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from tests.e2e.browser import plays, tiles_play
from tests.e2e.system import System, camera, gst_filming, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "gst-rtsp-server")]
B_FRAMES_AND_SOUND = (
    "audiotestsrc is-live=true ! avenc_aac ! aacparse ! rtpmp4gpay name=pay1 pt=97  videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=25/1 "
    "! x264enc key-int-max=25 bframes=2 b-adapt=false ! video/x-h264,profile=main ! rtph264pay name=pay0 pt=96"
)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with gst_filming() as film, serving(tmp_path_factory.mktemp("ladder")) as serve:
        system = serve([camera("porch", film(B_FRAMES_AND_SOUND))], roles={"media": 1, "stream": 1, "api": 1})
        system.wait_live("porch")
        wait_for("B-frames seen", lambda: system.camera("porch")["webrtc"]["reason"] == "b_frames")
        yield system


def test_the_api_says_which_ways_there_are_and_why_not_the_others(system: System) -> None:
    def answered() -> httpx.Response | None:
        answer = system.http.get("/cameras/porch/live")
        return None if "no_worker" in answer.text else answer  # it is heard of soon

    answer = wait_for("an answer of who serves it", answered)
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    first, second, *rest = document["options"]
    assert (first["protocol"], first["playable"], first["reason"]) == ("webrtc", False, "b_frames")
    assert (second["protocol"], second["stream"], second["playable"]) == ("websocket", "main", True)
    assert second["url"].startswith("ws://127.0.0.1:")
    assert second["mime_type"].startswith('video/mp4; codecs="avc1.')
    assert [each["protocol"] for each in rest] == ["webrtc", "hls", "rtsp"]


def test_a_camera_with_b_frames_plays_in_its_tile_and_goes_on_after_its_stream_process_was_killed(
    page: Page, system: System
) -> None:
    page.goto(system.url)
    tile = page.get_by_test_id("tile-porch")
    expect(tile).to_have_attribute("data-state", "live")
    plays(page, "[data-testid=tile-porch] video")
    wait_for("one viewer", lambda: system.camera("porch")["viewers"] == 1)
    system.kill("stream-0")
    tiles_play(page, ["porch"])


class SoundLater:
    """Holds back what is of the sound until some pictures have gone to the page."""

    def __init__(self, route: WebSocketRoute) -> None:
        self._held: list[str | bytes] = []
        self._pictures = 0
        self._page = route
        route.connect_to_server().on_message(self._take)

    def _take(self, message: str | bytes) -> None:
        sound = '"init","track":"audio"' in message if isinstance(message, str) else message[0] in (1, 3)
        if sound and self._pictures < 10:
            self._held.append(message)
            return
        self._pictures += isinstance(message, bytes)
        self._page.send(message)
        if self._pictures >= 10:
            for each in self._held:
                self._page.send(each)
            self._held.clear()


def test_sound_that_is_introduced_after_the_first_pictures_is_heard_with_them(
    page: Page, system: System
) -> None:
    page.route_web_socket("**/live/porch*", SoundLater)
    page.goto(system.url)
    plays(page, "[data-testid=tile-porch] video")
    video = page.locator("[data-testid=tile-porch] video")
    wait_for("decoded sound", lambda: video.evaluate("video => video.webkitAudioDecodedByteCount"))
