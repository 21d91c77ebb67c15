"""Debian's Chromium in front of the real system: what an operator sees and does."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.browser import plays
from tests.e2e.players import decoded
from tests.e2e.system import System, camera, filming, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffmpeg")]

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with filming() as film, serving(tmp_path_factory.mktemp("browser")) as serve:
        urls = film("--pattern", count=2)
        sounding = film("--pattern", "--audio", "pcmu")
        locked = film("--pattern", "--user", "admin", "--password", "right-password")
        wrong = locked[0].replace("rtsp://", "rtsp://admin:wrong@")
        names = ("porch", "gate", "sounding", "locked")
        cameras = [camera(*each) for each in zip(names, (*urls, *sounding, wrong), strict=True)]
        system = serve(cameras)
        for camera_id in ("porch", "gate", "sounding"):
            system.wait_live(camera_id)
        yield system


def test_the_grid_shows_moving_pictures(page: Page, system: System) -> None:
    page.goto(system.url)
    for camera_id in ("porch", "gate"):
        tile = page.get_by_test_id(f"tile-{camera_id}")
        expect(tile).to_have_attribute("data-state", "live")
        plays(page, f"[data-testid=tile-{camera_id}] video")
    wait_for("one viewer", lambda: system.camera("porch")["viewers"] == 1)
    page.goto("about:blank")
    wait_for("no viewer left", lambda: system.camera("porch")["viewers"] == 0)


def test_a_tile_says_why_its_camera_is_not_live(page: Page, system: System) -> None:
    page.goto(system.url)
    tile = page.get_by_test_id("tile-locked")
    expect(tile).to_have_attribute("data-state", "failed")
    expect(tile).to_contain_text("password")


def play_from_the_timeline(page: Page) -> None:
    """A little before now, once what is recorded has been drawn."""
    timeline = page.get_by_test_id("timeline")
    expect(timeline.locator("rect[class*=recorded]").first).to_be_attached()
    timeline.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    plays(page, "[data-testid=playback-video]")


def test_playback_from_the_timeline_plays_and_returns_to_live(page: Page, system: System) -> None:
    system.wait_recorded("porch", 12)
    page.goto(f"{system.url}/cameras/porch")
    plays(page, "[data-testid=live-video]")
    play_from_the_timeline(page)
    page.get_by_test_id("back-to-live").click()
    plays(page, "[data-testid=live-video]")


def test_a_recording_with_g711_sound_plays(page: Page, system: System) -> None:
    assert system.wait_live("sounding")["audio"] == "pcmu"
    system.wait_recorded("sounding", 8)
    page.goto(f"{system.url}/cameras/sounding")
    play_from_the_timeline(page)


def test_an_export_downloads_and_decodes(page: Page, system: System, tmp_path: Path) -> None:
    system.wait_recorded("porch", 6)
    page.goto(f"{system.url}/cameras/porch")
    export = page.get_by_test_id("export-download")
    expect(export).to_be_visible()
    with page.expect_download() as download:
        export.click()
    path = tmp_path / "export.mp4"
    download.value.save_as(path)
    assert len(decoded(path)) > 50


WHEP = """async url => {
    const peer = new RTCPeerConnection();
    peer.addTransceiver('video', {direction: 'recvonly'});
    const video = document.createElement('video');
    video.muted = true;
    video.autoplay = true;
    video.id = 'whep';
    document.body.append(video);
    peer.ontrack = event => { video.srcObject = new MediaStream([event.track]); };
    await peer.setLocalDescription();
    let answer;
    for (let attempt = 0; attempt < 60; attempt++) {
        answer = await fetch(url, {
            method: 'POST', headers: {'Content-Type': 'application/sdp'}, body: peer.localDescription.sdp,
        });
        if (answer.status !== 503) break;  // to be tried again soon
        await new Promise(resolve => setTimeout(resolve, 500));
    }
    await peer.setRemoteDescription({type: 'answer', sdp: await answer.text()});
    window.peer = peer;
    return [answer.status, answer.headers.get('Location')];
}"""


def test_whep_starts_a_viewer_and_delete_ends_it(page: Page, system: System) -> None:
    page.goto(f"{system.url}/cameras")  # a page of ours without viewers of its own
    wait_for("no other viewer", lambda: system.camera("porch")["viewers"] == 0)
    status, location = page.evaluate(WHEP, "/api/v1/cameras/porch/whep")
    assert status == 201
    plays(page, "#whep")
    wait_for("one viewer", lambda: system.camera("porch")["viewers"] == 1)
    ended = page.evaluate("async url => (await fetch(url, {method: 'DELETE'})).status", location)
    assert ended in (200, 204)
    wait_for("the viewer's end", lambda: system.camera("porch")["viewers"] == 0 or None)
    state = "window.peer.connectionState"
    wait_for(
        "the browser's end", lambda: page.evaluate(state) in ("closed", "failed", "disconnected") or None
    )
    assert page.evaluate("async url => (await fetch(url, {method: 'DELETE'})).status", location) == 404


def test_a_token_lets_the_operator_in(
    page: Page, serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern")
    system = serve([camera("porch", url)], http={"port": 0, "token": TOKEN})
    system.wait_live("porch")
    page.goto(system.url)
    field = page.locator("input[type=password]")
    field.fill("not-the-right-token")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    field.fill(TOKEN)
    field.press("Enter")
    expect(page.get_by_test_id("tile-porch")).to_have_attribute("data-state", "live")
    plays(page, "[data-testid=tile-porch] video")
    system.wait_recorded("porch", 4)
    page.goto(f"{system.url}/cameras/porch")
    play_from_the_timeline(page)


def test_the_app_speaks_portuguese(browser: Browser, system: System) -> None:
    with closing(browser.new_context(locale="pt-BR")) as context:
        page = context.new_page()
        page.goto(system.url)
        expect(page.get_by_test_id("tile-porch")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
        expect(page.get_by_text("Ao vivo").first).to_be_visible()
