"""A tab that is hidden and comes back shows the present; one that is forgotten takes no video."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.e2e.browser import ARGUMENTS
from tests.e2e.own_tab import FOREGROUND, OwnTab
from tests.e2e.picture_clock import READ_CLOCKS, small_cameras
from tests.e2e.system import System, camera, serving, wait_for
from tests.e2e.test_e2e_tile_size import NO_PATH

from vms.common.clock import NS, SystemClock, parse_rfc3339

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

PATIENCE = """window.minuteMs = 60_000; {
    const real = window.setTimeout;
    window.setTimeout = (task, ms, ...more) => real(task, ms === 60_000 ? window.minuteMs : ms, ...more);
}"""
"""The minute after which the app lets go of what nobody looks at (useLive.ts) is as long as a test wants."""
BEFORE_PAGE = {"webrtc": PATIENCE, "websocket": PATIENCE + NO_PATH}
TILE = "document.querySelector('[data-testid=tile-porch]')"
LATE_MS = 3_000  # further behind, the app itself would go on at the newest picture (liveEdge.ts)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with (
        small_cameras(1, 640, 360, 25, 400_000) as (url,),
        serving(tmp_path_factory.mktemp("hidden")) as serve,
    ):
        roles = {"media": 1, "stream": 1, "api": 1}
        system = serve([{**camera("porch", url), "record": "off"}], roles=roles)
        system.wait_live("porch")
        yield system


@pytest.fixture(scope="module")
def hiding() -> Iterator[Browser]:
    """Chromium that treats hidden tabs as it does for people."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=ARGUMENTS, ignore_default_args=FOREGROUND
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=list(BEFORE_PAGE))
def tab(request: pytest.FixtureRequest, hiding: Browser, system: System) -> Iterator[OwnTab]:
    tab = OwnTab(hiding, BEFORE_PAGE[request.param])
    tab.goto(system.url)
    shows_the_present(tab)
    way = f"{TILE}.querySelector('[data-testid=way]')?.dataset.protocol"
    wait_for("the first way", lambda: tab.evaluate(way) == request.param)
    yield tab
    tab.close()
    wait_for("no viewer", lambda: system.camera("porch")["viewers"] == 0, 120)


def clock_ms(tab: OwnTab) -> int:
    """The capture time in the picture that is shown; 0: it cannot be read now."""
    readings = tab.evaluate(f"({READ_CLOCKS})('[data-testid=tile-porch] video')")
    return int(readings[0]["wall_ms"]) if readings and readings[0] else 0


def shows_the_present(tab: OwnTab) -> None:
    """Fails unless what has just been captured is shown at some time from now on, and the tile says that it is live."""

    def shown() -> bool:
        asked_ms = SystemClock().wall_ns() // 1_000_000
        return clock_ms(tab) > max(begun_ms, asked_ms - LATE_MS)

    begun_ms = SystemClock().wall_ns() // 1_000_000
    wait_for("a picture of the present", shown)
    wait_for("a live tile", lambda: tab.evaluate(f"{TILE}.dataset.state") == "live")


def goes_on_unseen(system: System) -> None:
    """Wait until the camera has delivered a second more."""
    begun_ns = SystemClock().wall_ns()
    newest_ns = lambda: parse_rfc3339(system.camera("porch")["last_frame_at"])  # noqa: E731
    wait_for("a second of the camera", lambda: newest_ns() > begun_ns + NS)


def sessions_begun(system: System) -> float:
    names = ("vms_stream_sessions_total", "vms_websocket_sessions_total")
    return sum(sample.value for name in names for sample in system.metrics(name))


def test_a_hidden_tab_keeps_its_session_and_shows_the_present_when_it_is_back(
    tab: OwnTab, system: System
) -> None:
    begun = sessions_begun(system)
    tab.hide()
    goes_on_unseen(system)
    tab.show()
    shows_the_present(tab)
    assert sessions_begun(system) == begun > 0


def test_a_tab_that_the_browser_froze_shows_the_present_when_it_is_back(tab: OwnTab, system: System) -> None:
    tab.hide()
    tab.freeze()
    goes_on_unseen(system)
    tab.thaw()
    tab.show()
    shows_the_present(tab)


def test_a_tab_that_nobody_has_looked_at_for_a_minute_takes_no_video_until_it_is_back(
    tab: OwnTab, system: System
) -> None:
    tab.evaluate("window.minuteMs = 100")
    tab.hide()
    wait_for("its viewer to be gone", lambda: system.camera("porch")["viewers"] == 0)
    tab.show()
    shows_the_present(tab)
