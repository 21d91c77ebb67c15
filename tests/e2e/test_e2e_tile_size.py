"""A tile shows the stream that suits its size: small the sub stream, enlarged the main one, without a new session."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.browser import plays
from tests.e2e.system import System, camera, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]
VIDEO = "[data-testid=tile-porch] video"
SUB_WIDTH, MAIN_WIDTH = 640, 1280
NO_PATH = """RTCPeerConnection = class extends RTCPeerConnection {
    constructor(options) { super({...options, iceTransportPolicy: 'relay'}); }
    async setRemoteDescription(description) {
        await super.setRemoteDescription(description);
        Object.defineProperty(this, 'connectionState', {value: 'failed'});
        this.dispatchEvent(new Event('connectionstatechange'));
    }
}"""
"""There is no relay, so there is no path; and it says so at once, not after a quarter of a minute."""

LEAVE_FULL_SCREEN = "() => document.fullscreenElement && document.exitFullscreen().catch(() => {})"
"""It may be left already."""


def shows(page: Page, width: int) -> None:
    """Fails unless the picture becomes so wide, and moves."""
    video = page.locator(VIDEO)
    wait_for(f"a picture {width} wide", lambda: video.evaluate("video => video.videoWidth") == width, 180)
    plays(page, VIDEO)


def test_a_small_tile_plays_the_sub_stream_and_an_enlarged_one_the_main_stream_in_the_same_session(
    page: Page, serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern", "--sub")
    cameras = [{**camera("porch", url), "sub_source": f"{url}/sub", "record": "off"}]
    system = serve([*cameras, {**camera("gate", url), "record": "off"}])
    for name in ("porch", "gate"):
        system.wait_live(name)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)

    def offers() -> list[str]:
        return [each for each in posts if "/cameras/porch/whep" in each]

    page.goto(f"{system.url}/?layout=4")
    tile = page.get_by_test_id("tile-porch")
    shows(page, SUB_WIDTH)
    opened = offers()
    way = tile.get_by_test_id("way")
    expect(way).to_have_attribute("data-stream", "sub")
    expect(way).to_have_attribute("data-protocol", "webrtc")

    tile.focus()
    page.keyboard.press("f")
    shows(page, MAIN_WIDTH)
    expect(way).to_have_attribute("data-stream", "main")
    page.keyboard.press("Escape")
    page.evaluate(LEAVE_FULL_SCREEN)
    shows(page, SUB_WIDTH)
    expect(way).to_have_attribute("data-stream", "sub")

    assert offers() == opened, "no new session"
    assert re.search(r"\?width=\d+&height=\d+$", opened[0])
    plays(page, "[data-testid=tile-gate] video")
    others = [each for each in posts if "/cameras/gate/whep" in each]
    assert others and all("width" not in each for each in others), "a camera of one stream has none to choose"


def test_where_webrtc_finds_no_path_a_tile_is_shown_over_websocket_and_follows_its_size(
    page: Page, serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern", "--sub")
    system = serve([{**camera("porch", url), "sub_source": f"{url}/sub", "record": "off"}])
    system.wait_live("porch")
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.add_init_script(NO_PATH)
    page.goto(f"{system.url}/?layout=4")
    tile = page.get_by_test_id("tile-porch")
    shows(page, SUB_WIDTH)
    way = tile.get_by_test_id("way")
    expect(way).to_have_attribute("data-protocol", "websocket")
    expect(tile.get_by_title(re.compile("From the camera to this screen"))).to_have_text(re.compile(r"\d"))
    expect(way).to_have_attribute("data-stream", "sub")
    tile.focus()
    page.keyboard.press("f")
    shows(page, MAIN_WIDTH)
    expect(way).to_have_attribute("data-stream", "main")
    page.evaluate(LEAVE_FULL_SCREEN)
    shows(page, SUB_WIDTH)
    assert len(sockets) == 1, "no new session"
