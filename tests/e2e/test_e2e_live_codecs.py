"""Cameras that appear while their grid is open: each is shown in the first way that carries it, and goes on in it when
the camera's encoder is set to another size."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.e2e.browser import plays, tiles_play
from tests.e2e.system import System, camera, gst_filming, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffmpeg", "gst-rtsp-server")]

FIRST_S, THEN_S = 8, 27
"""How long the first size lasts: until the tile shows it. And the other one: until the test is over."""
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25:bframes=0")
H264 = "h264parse config-interval=-1 ! rtph264pay"
H265 = "h265parse config-interval=-1 ! rtph265pay"
CAMERAS = {
    "plain": (H264, (*X264, "-bf", "0"), ("webrtc", "main")),
    "reordered": (H264, (*X264, "-bf", "2"), ("websocket", "main")),
    "efficient": (H265, X265, ("webrtc", "compat")),
}
"""What sends it, what makes it, and in which way this browser shows what that makes."""


@pytest.fixture(scope="module")
def film() -> Iterator[Callable[..., str]]:
    with gst_filming() as film:
        yield film


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with serving(tmp_path_factory.mktemp("codecs")) as serve:
        yield serve([], roles={"media": 1, "stream": 1, "api": 1})


def of_two_sizes(folder: Path, encoder: tuple[str, ...]) -> Path:
    """Footage whose encoder is set to another size."""
    for size, length_s in (("320x180", FIRST_S), ("640x360", THEN_S)):
        source = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-t", str(length_s))
        ffmpeg(*source, *encoder, "-pix_fmt", "yuv420p", str(folder / f"{size}.ts"))
    (folder / "parts").write_text("file 320x180.ts\nfile 640x360.ts\n")
    ffmpeg("-f", "concat", "-i", str(folder / "parts"), "-c", "copy", str(folder / "whole.ts"))
    return folder / "whole.ts"


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments], check=True, timeout=60)


def width(tile: Locator) -> int:
    """Of the picture that is shown; 0: none is."""
    return int(tile.locator("video").evaluate("video => video.videoWidth"))


def shown_by(tile: Locator) -> tuple[str | None, str | None]:
    way = tile.get_by_test_id("way")
    return way.get_attribute("data-protocol"), way.get_attribute("data-stream")


def sessions_begun(system: System) -> float:
    names = ("vms_stream_sessions_total", "vms_websocket_sessions_total")
    return sum(sample.value for name in names for sample in system.metrics(name))


def test_each_camera_is_shown_in_the_first_way_that_carries_it_and_in_it_through_a_change_of_size(
    page: Page, system: System, film: Callable[..., str], tmp_path: Path
) -> None:
    launches = {}
    for name, (parser, encoder, _) in CAMERAS.items():
        folder = tmp_path / name
        folder.mkdir()
        path = of_two_sizes(folder, encoder)
        launches[name] = f"filesrc location={path} ! tsdemux ! {parser} name=pay0 pt=96"
    page.goto(f"{system.url}/?layout=4")
    for name, launch in launches.items():
        each = {**camera(name, film(launch)), "record": "off"}
        assert system.http.post("/cameras", json=each).status_code == 201
    for name, (_, _, expected) in CAMERAS.items():
        tile = page.get_by_test_id(f"tile-{name}")
        wait_for(f"the first size of {name}", lambda tile=tile: width(tile) == 320)
        expect(tile).to_have_attribute("data-state", "live")
        assert shown_by(tile) == expected
    begun = sessions_begun(system)
    for name, (_, _, expected) in CAMERAS.items():
        tile = page.get_by_test_id(f"tile-{name}")
        wait_for(f"the other size of {name}", lambda tile=tile: width(tile) == 640)
        plays(page, f"[data-testid=tile-{name}] video")
        assert shown_by(tile) == expected
    assert sessions_begun(system) == begun
    for name in CAMERAS:
        assert system.http.delete(f"/cameras/{name}").status_code == 204


def test_where_h265_cannot_be_decoded_it_is_transcoded_again_after_the_process_that_does_was_killed(
    page: Page, system: System, film: Callable[..., str]
) -> None:
    source = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=180,framerate=25/1"
    launch = f"{source} ! x265enc speed-preset=ultrafast key-int-max=25 ! rtph265pay name=pay0 pt=96"
    assert (
        system.http.post("/cameras", json={**camera("yard", film(launch)), "record": "off"}).status_code
        == 201
    )
    page.goto(system.url)
    tiles_play(page, ["yard"])
    assert shown_by(page.get_by_test_id("tile-yard")) == ("webrtc", "compat")
    options = system.http.get("/cameras/yard/live").json()["options"]
    reasons = {(each["protocol"], each["stream"]): each["reason"] for each in options}
    assert reasons["webrtc", "main"] == "codec"
    assert reasons["websocket", "main"] == "unsupported"
    assert reasons["webrtc", "compat"] is None

    before = system.wait_running()
    system.kill("transcode-0")
    system.wait_replaced(before, ["transcode-0"])
    tiles_play(page, ["yard"])
    plays(page, "[data-testid=tile-yard] video")
