"""What WebTransport shows and plays, through the system's own processes: sound, drawn pictures, H.265."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from tests.e2e.browser import plays
from tests.e2e.system import System, camera, filming, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffmpeg")]
CANNOT = "browsers do not play this format live"
LOUDNESS = """async video => {
    const sound = video.srcObject?.getAudioTracks() ?? [];
    if (video.muted || sound.length === 0) return 0;
    const context = new AudioContext();
    await context.resume();
    const ear = context.createAnalyser();
    context.createMediaStreamSource(new MediaStream(sound)).connect(ear);
    const samples = new Float32Array(ear.fftSize);
    let loudest = 0;
    for (let looks = 0; looks < 20; looks += 1) {
        await new Promise(resolve => setTimeout(resolve, 50));
        ear.getFloatTimeDomainData(samples);
        loudest = Math.max(loudest, ...samples);
    }
    await context.close();
    return loudest;
}"""
DECODES_H265 = """async () => {
    const config = {codec: 'hvc1.1.6.L93.B0', codedWidth: 320, codedHeight: 180};
    return (await VideoDecoder.isConfigSupported(config)).supported;
}"""
SAYS_NO = """
    VideoDecoder.isConfigSupported = async config => ({supported: !config.codec.startsWith('hvc1'), config});
"""


def h265(folder: Path) -> Path:
    """Footage that not every browser decodes."""
    source = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "4", "-pix_fmt", "yuv420p")
    encoder = (
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=none:keyint=25:bframes=0",
    )
    path = folder / "h265.mp4"
    command = ["ffmpeg", "-nostdin", "-v", "error", *source, *encoder, "-tag:v", "hvc1", str(path)]
    subprocess.run(command, check=True, timeout=120)
    return path


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with filming() as film, serving(tmp_path_factory.mktemp("media")) as serve:
        (heard,) = film("--pattern", "--audio", "aac", "--bitrate", "500000")
        (efficient,) = film(str(h265(tmp_path_factory.mktemp("footage"))))
        system = serve(
            [camera("porch", heard), {**camera("garage", efficient), "record": "off"}],
            roles={"media": 1, "stream": 1, "api": 1},
            transcode={"streams": 0},
            webtransport={"port": 0},
        )
        for camera_id in ("porch", "garage"):
            system.wait_live(camera_id)
            wait_for(f"WebTransport of {camera_id}", lambda name=camera_id: offered(system, name)["playable"])
        yield system


def offered(system: System, camera_id: str, supports: str = "h265") -> dict[str, Any]:
    """WebTransport among the ways to see a camera."""
    answer = system.http.get(f"/cameras/{camera_id}/live", params={"supports": supports})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["options"]
    return next(each for each in found if each["protocol"] == "webtransport")


def test_a_tile_is_silent_until_its_button_is_pressed_and_then_heard(page: Page, system: System) -> None:
    page.goto(f"{system.url}/?protocol=webtransport")
    tile = page.get_by_test_id("tile-porch")
    expect(tile).to_have_attribute("data-state", "live")
    expect(tile.get_by_test_id("way")).to_have_attribute("data-protocol", "webtransport")
    video = tile.locator("video")
    assert video.evaluate("video => video.muted && video.srcObject.getAudioTracks().length === 0")
    tile.hover()  # which shows its buttons
    tile.get_by_role("button", name="Sound on").click()
    wait_for("sound", lambda: video.evaluate(LOUDNESS) > 0.01)
    plays(page, "[data-testid=tile-porch] video")
    tile.hover()
    tile.get_by_role("button", name="Sound off").click()
    wait_for("silence", lambda: video.evaluate("video => video.muted"))


def test_pictures_are_drawn_where_the_browser_has_no_track_to_write_them_to(
    page: Page, system: System
) -> None:
    page.add_init_script("delete globalThis.MediaStreamTrackGenerator")
    page.goto(f"{system.url}/?protocol=webtransport")
    tile = page.get_by_test_id("tile-porch")
    expect(tile).to_have_attribute("data-state", "live")
    expect(tile.get_by_test_id("way")).to_have_attribute("data-protocol", "webtransport")
    track = "video => video.srcObject.getVideoTracks()[0].constructor.name"
    assert tile.locator("video").evaluate(track) == "CanvasCaptureMediaStreamTrack"
    plays(page, "[data-testid=tile-porch] video")


def test_h265_is_played_where_the_browser_decodes_it_and_otherwise_the_tile_says_that_it_does_not(
    page: Page, system: System
) -> None:
    assert offered(system, "garage")["playable"]
    without = offered(system, "garage", supports="")
    assert (without["playable"], without["reason"]) == (False, "unsupported")
    page.goto(f"{system.url}/?protocol=webtransport")
    tile = page.get_by_test_id("tile-garage")
    if page.evaluate(DECODES_H265):
        expect(tile.get_by_test_id("way")).to_have_attribute("data-protocol", "webtransport")
        plays(page, "[data-testid=tile-garage] video")
    else:
        expect(tile).to_contain_text(CANNOT)


def test_a_browser_that_plays_h265_but_does_not_decode_this_stream_says_so(
    page: Page, system: System
) -> None:
    def as_one_that_plays_it(route: Route) -> None:
        response = route.fetch()
        document = response.json()
        for option in document["options"]:
            if option["protocol"] == "webtransport":
                option |= offered(system, "garage")
        route.fulfill(response=response, json=document)

    page.add_init_script(SAYS_NO)
    page.route("**/api/v1/cameras/garage/live?*", as_one_that_plays_it)
    page.goto(f"{system.url}/?protocol=webtransport")
    expect(page.get_by_test_id("tile-garage")).to_contain_text(CANNOT)
    page.unroute_all(behavior="wait")
