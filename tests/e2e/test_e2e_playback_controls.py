"""The player's controls in Chromium, checked by the clock in the picture: speeds, pictures, jumps, thumbnails, zones."""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.e2e.picture_clock import (
    Glance,
    glance,
    recorded_clocks,
    shown_clock,
    small_cameras,
    still_clocks,
)
from tests.e2e.system import System, camera, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffmpeg")]

FPS = 10
AGAIN_S = 180
"""Speeds are measured anew until then: on a machine that does other things, one measure may tell of those."""
SITE_ZONE = "Asia/Kolkata"  # its clocks are nobody else's: half an hour beside all others


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("controls")
    with small_cameras(1, 512, 288, FPS, 300_000) as (url,), serving(folder) as serve:
        system = serve([camera("porch", url)], storage={"segment": "10s"})
        system.wait_live("porch")
        system.wait_recorded("porch", 30, 120)
        yield system


def recorded(system: System) -> tuple[int, int]:
    """The first recorded stretch of the camera, milliseconds since 1970."""
    span = system.recordings("porch")["spans"][0]
    start, end = (datetime.fromisoformat(span[each]) for each in ("start", "end"))
    return int(start.timestamp() * 1000), int(end.timestamp() * 1000)


def at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(page: Page) -> int:
    return wait_for("a picture with a clock", lambda: shown_clock(page))


def changed(page: Page, before: int) -> int:
    """The clock of another picture than that of `before`."""

    def probe() -> int | None:
        now = shown_clock(page)
        return now if now is not None and now != before else None

    return wait_for("another picture", probe)


def open_paused(page: Page, system: System, ms: int) -> int:
    """Show the recording at `ms`, still; its clock."""
    page.goto(f"{system.url}/cameras/porch?at={at(ms)}")
    clock(page)
    page.keyboard.press("k")
    expect(page.get_by_test_id("play")).to_have_attribute("aria-label", "Play")
    video = page.get_by_test_id("playback-video")
    wait_for("the pause", lambda: video.evaluate("video => video.paused"))
    (shown,) = wait_for("a picture that stays", lambda: still_clocks(page))
    return shown


def test_frames_step_one_by_one_both_ways_over_borders_of_fragments_and_files(
    page: Page, system: System
) -> None:
    start_ms, end_ms = recorded(system)
    forth = [open_paused(page, system, start_ms + 8_000)]
    while forth[-1] < start_ms + 14_000:  # files are 10 s, fragments 0.5 s
        page.keyboard.press(".")
        forth.append(changed(page, forth[-1]))
    pictures = recorded_clocks(system, "porch", at(start_ms), at(end_ms))
    first = pictures.index(forth[0])
    assert forth == pictures[first : first + len(forth)], "each picture, and each once"
    back = [forth[-1]]
    while len(back) < len(forth):
        page.keyboard.press(",")
        back.append(changed(page, back[-1]))
    assert back == forth[::-1]


@pytest.mark.parametrize("rate", [0.5, 2, 4, 8, 16])
def test_it_plays_forward_at_the_speed_that_it_says(page: Page, system: System, rate: float) -> None:
    system.wait_recorded("porch", 3 * rate)  # what may be played while it is measured
    start_ms, _ = recorded(system)

    def as_said() -> bool:
        open_paused(page, system, start_ms + 1_000)
        _choose(page, rate)
        page.keyboard.press("k")
        measured, said = _measure(page, 2.0 if rate > 4 else 3.0), _said(page, rate)
        print(f"{rate} times: measured {measured:.2f}, said {said:.2f}")
        return measured == pytest.approx(said, rel=0.3)

    wait_for("the speed that it says", as_said, AGAIN_S)


@pytest.mark.parametrize("rate", [-1, -2, -4, -8])
def test_it_plays_backwards_at_the_speed_that_it_says(page: Page, system: System, rate: float) -> None:
    _, end_ms = recorded(system)

    def as_said() -> bool:
        open_paused(page, system, end_ms - 4_000)
        _choose(page, rate)
        page.keyboard.press("k")
        measured, said = _measure(page, 2.5), _said(page, rate)
        print(f"{rate} times: measured {measured:.2f}, said {said:.2f}")
        return measured < 0 and measured == pytest.approx(said, rel=0.3)

    wait_for("the speed that it says", as_said, AGAIN_S)


def _choose(page: Page, rate: float) -> None:
    """By the keys: back to normal, then so many times slower or faster."""
    rates = [-8, -4, -2, -1, 0.25, 0.5, 1, 2, 4, 8, 16]
    page.keyboard.press("\\")
    by = rates.index(rate) - rates.index(1)
    for _ in range(abs(by)):
        page.keyboard.press("]" if by > 0 else "[")


def _measure(page: Page, for_s: float) -> float:
    """Seconds of recording a second, by the pictures' clocks, from the second picture on."""
    still = clock(page)

    def probe() -> Glance | None:
        now = glance(page)
        return now if now is not None and now.clock_ms != still else None

    first = wait_for("another picture", probe)
    page.wait_for_timeout(for_s * 1000)
    last = wait_for("a picture with a clock", lambda: glance(page))
    return (last.clock_ms - first.clock_ms) / (last.page_ms - first.page_ms)


def _said(page: Page, rate: float) -> float:
    actual = page.get_by_test_id("actual-speed").get_attribute("data-actual")
    return float(actual) if actual else rate


def test_a_typed_time_is_shown_to_the_second(page: Page, system: System) -> None:
    start_ms, _ = recorded(system)
    open_paused(page, system, start_ms + 3_000)
    target = (start_ms // 1000 + 20) * 1000
    page.keyboard.press("t")
    typed = page.evaluate("ms => new Date(ms).toLocaleTimeString('en-GB')", target)
    hours = page.get_by_label("Time: hours")
    hours.click()
    page.keyboard.type(typed.replace(":", ""))
    page.get_by_test_id("go-to-submit").click()
    wait_for("that second", lambda: abs((shown_clock(page) or 0) - target) < 1000)


def test_the_pointer_shows_the_picture_of_its_time(page: Page, system: System) -> None:
    start_ms, _ = recorded(system)
    params = {"at": at(start_ms + 5_000)}
    wait_for("a thumbnail", lambda: _thumbnail(system, params).status_code == 200)
    open_paused(page, system, start_ms + 5_000)
    timeline = page.get_by_test_id("timeline")
    box = timeline.bounding_box()
    assert box is not None
    view_start, view_end = (
        datetime.fromisoformat(timeline.get_attribute(each) or "").timestamp() * 1000
        for each in ("data-start", "data-end")
    )
    target = start_ms + 12_000
    x = (target - view_start) / (view_end - view_start) * box["width"]
    page.mouse.move(box["x"] + x, box["y"] + box["height"] - 10)
    picture = page.get_by_test_id("timeline-probe").locator("img")
    expect(picture).to_be_visible()
    per_px = (view_end - view_start) / box["width"]

    def taken() -> bool:
        shown = datetime.fromisoformat(picture.get_attribute("data-time") or "").timestamp() * 1000
        return target - 2_000 - 4 * per_px <= shown <= target + 4 * per_px  # key pictures are 2 s apart

    wait_for("the picture of that time", taken)


def _thumbnail(system: System, params: dict[str, str]) -> httpx.Response:
    return system.http.get("/cameras/porch/thumbnail.jpg", params=params)


def test_times_are_the_sites_once_chosen_and_remembered(page: Page, system: System) -> None:
    site = {"site": {"name": "Plant", "time_zone": SITE_ZONE}}
    page.route("**/api/v1/system", lambda route: route.fulfill(json=site))
    start_ms, _ = recorded(system)
    open_paused(page, system, start_ms + 5_000)
    shown = "ms => new Date(ms).toLocaleTimeString('en-GB', {timeZone: 'Asia/Kolkata', hour: '2-digit', minute: '2-digit'})"
    expected = page.evaluate(shown, start_ms + 5_000)
    clock_text = page.get_by_test_id("clock")
    page.get_by_test_id("zone").get_by_text("Site").click()
    expect(clock_text).to_contain_text(expected)
    expect(clock_text).to_contain_text("GMT+5:30")
    page.reload()
    expect(clock_text).to_contain_text(expected)
    page.get_by_test_id("zone").get_by_text("Here").click()
    expect(clock_text).not_to_contain_text(expected)


def test_the_next_and_the_last_event_are_found(page: Page, system: System) -> None:
    start_ms, _ = recorded(system)
    moments = [start_ms + 10_000, start_ms + 25_000]
    events = [
        {"id": str(n), "at": at(ms), "kind": "motion", "camera": "porch", "text": "", "facts": {}}
        for n, ms in enumerate(moments)
    ]
    page.route("**/api/v1/events?*", lambda route: route.fulfill(json={"events": events[::-1]}))
    open_paused(page, system, start_ms + 2_000)
    _choose(page, 0.25)  # so that nothing is played past before the next key comes
    for key, moment in (("e", moments[0]), ("e", moments[1]), ("Shift+E", moments[0])):
        page.keyboard.press(key)
        lead = moment - 3_000
        # The address says where playing went; the picture, that it is there.
        wait_for(
            f"{key} to the event's lead",
            lambda lead=lead: at(lead) in unquote(page.evaluate("location.href")),
        )
        wait_for("its picture", lambda lead=lead: lead - 200 <= (shown_clock(page) or 0) < lead + 8_000)
