"""Cameras that appear while their grid is open: each is shown in the first way that carries it, and goes on in it when
the camera's encoder is set to another size."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.e2e.browser import plays, tiles_play
from tests.e2e.resized_camera import FIRST_WIDTH, H264, H264_REORDERED, H265, THEN_WIDTH, ResizedCamera
from tests.e2e.system import System, camera, gst_filming, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "gst-rtsp-server")]

CAMERAS = {
    "plain": (H264, ("webrtc", "main")),
    "reordered": (H264_REORDERED, ("websocket", "main")),
    "efficient": (H265, ("webrtc", "compat")),
}
"""What makes its pictures, and in which way this browser shows them."""


@pytest.fixture(scope="module")
def film() -> Iterator[Callable[..., str]]:
    with gst_filming() as film:
        yield film


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with serving(tmp_path_factory.mktemp("codecs")) as serve:
        yield serve([], roles={"media": 1, "stream": 1, "api": 1})


@pytest.fixture
def cameras() -> Iterator[dict[str, ResizedCamera]]:
    with ExitStack() as stack:
        found = {}
        for name, (encoder, _) in CAMERAS.items():
            found[name] = ResizedCamera(encoder)
            stack.callback(found[name].stop)
        yield found


def width(tile: Locator) -> int:
    """Of the picture that is shown; 0: none is."""
    return int(tile.locator("video").evaluate("video => video.videoWidth"))


def is_shown_by(tile: Locator, protocol: str, stream: str) -> None:
    way = tile.get_by_test_id("way")
    expect(way).to_have_attribute("data-protocol", protocol)
    expect(way).to_have_attribute("data-stream", stream)


def sessions_begun(system: System) -> float:
    names = ("vms_stream_sessions_total", "vms_websocket_sessions_total")
    return sum(sample.value for name in names for sample in system.metrics(name))


def test_each_camera_is_shown_in_the_first_way_that_carries_it_and_in_it_through_a_change_of_size(
    page: Page, system: System, cameras: dict[str, ResizedCamera]
) -> None:
    page.goto(f"{system.url}/?layout=4")
    for name, each in cameras.items():
        made = {**camera(name, each.url), "record": "off"}
        assert system.http.post("/cameras", json=made).status_code == 201
    for name, (_, expected) in CAMERAS.items():
        tile = page.get_by_test_id(f"tile-{name}")
        wait_for(f"the first size of {name}", lambda tile=tile: width(tile) == FIRST_WIDTH)
        expect(tile).to_have_attribute("data-state", "live")
        is_shown_by(tile, *expected)
    begun = sessions_begun(system)
    for each in cameras.values():
        each.resize()
    for name, (_, expected) in CAMERAS.items():
        tile = page.get_by_test_id(f"tile-{name}")
        wait_for(f"the other size of {name}", lambda tile=tile: width(tile) == THEN_WIDTH)
        plays(page, f"[data-testid=tile-{name}] video")
        is_shown_by(tile, *expected)
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
    is_shown_by(page.get_by_test_id("tile-yard"), "webrtc", "compat")
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
