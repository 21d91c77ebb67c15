"""Recordings of several cameras played together in Chromium: their clocks show one moment."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.browser import PATIENCE_MS
from tests.e2e.picture_clock import recorded_clocks, shown_clocks, small_cameras, still_clocks
from tests.e2e.system import System, camera, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffmpeg")]

WITHIN_MS = 100
STILL_WITHIN_MS = 20
RECORD_S = 28  # the longest test plays from the 12th second on: what is recorded meanwhile is never reached
AGAIN_S = 120
"""A stretch that is played is judged anew until then: on a machine that does other things, one may tell of those."""

NOTE_STATES = """
    window.states = []; window.reasons = [];
    setInterval(() => {
        const [second, first] = ['sync-c2', 'sync-c1'].map(id => document.querySelector(`[data-testid=${id}]`));
        if (!first || !second) return;
        const now = `${second.dataset.status} ${first.dataset.status}`;
        if (now !== states.at(-1)) states.push(now);
        if (second.dataset.status === 'missing') reasons.push(second.textContent);
    }, 20);
"""
"""How the second camera and the first one fared, from the page's beginning on: what it shows may pass quickly."""


class Wall(NamedTuple):
    """fps: pictures a second, of each of `count` cameras. start_ms: when all are being recorded, since 1970."""

    system: System
    count: int
    fps: int
    start_ms: int

    @property
    def ids(self) -> list[str]:
        return [f"c{number}" for number in range(1, self.count + 1)]

    def open(self, page: Page, ms: int) -> None:
        self.goto(page, ms)
        playing(page)

    def goto(self, page: Page, ms: int) -> None:
        at = datetime.fromtimestamp(ms / 1000, UTC).isoformat()
        page.goto(f"{self.system.url}/playback?cameras={','.join(self.ids)}&at={at.replace('+00:00', 'Z')}")

    def pictures(self) -> list[dict[int, int]]:
        """Of each camera: the capture time in each recorded picture, and that in the one after it."""
        found = []
        for camera_id in self.ids:
            span = self.system.recordings(camera_id)["spans"][0]
            clocks = recorded_clocks(self.system, camera_id, span["start"], span["end"])
            found.append(dict(pairwise(clocks)))
        return found

    def apart_ms(self, clocks: list[int], pictures: list[dict[int, int]]) -> float:
        """How far players are apart that show these. A picture is that of every moment until the next one's."""
        nexts = [
            after.get(shown, shown + 1000 / self.fps) for shown, after in zip(clocks, pictures, strict=True)
        ]
        return max(clocks) - min(nexts)

    def clocks(self, page: Page) -> list[int] | None:
        """Of all cameras, in their order; None: not all can be read now."""
        clocks = shown_clocks(page)
        return clocks if len(clocks) == self.count and all(clocks) else None


@pytest.fixture(
    scope="module", params=[(4, 512, 288, 10, 200_000), (16, 320, 180, 5, 60_000)], ids=["4", "16"]
)
def wall(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    count, width, height, fps, bitrate = request.param
    with (
        small_cameras(count, width, height, fps, bitrate) as urls,
        serving(tmp_path_factory.mktemp("sync")) as serve,
    ):
        ids = [f"c{number}" for number in range(1, count + 1)]
        system = serve([camera(*each) for each in zip(ids, urls, strict=True)])
        for camera_id in ids:
            system.wait_live(camera_id, 60)
        start_ms = int(time.time() * 1000)
        for camera_id in ids:
            system.wait_recorded(camera_id, RECORD_S, 120)
        yield Wall(system, count, fps, start_ms)


def playing(page: Page) -> None:
    sync = page.get_by_test_id("sync")
    expect(sync).to_have_attribute(
        "data-holding", "false", timeout=2 * PATIENCE_MS
    )  # the page itself, and all videos
    expect(page.locator("[data-testid^=sync-]:not([data-status=playing])")).to_have_count(0)


def test_all_cameras_show_one_moment_while_they_play_after_a_seek(page: Page, wall: Wall) -> None:
    wall.open(page, wall.start_ms + 2_000)
    page.keyboard.press("ArrowRight")  # a seek of ten seconds
    playing(page)
    page.wait_for_timeout(1_500)  # the clocks may be made up to now

    def together() -> bool:
        seen = _played(page, wall, for_ms=9_500)
        pictures = wall.pictures()
        apart = sorted(round(wall.apart_ms(clocks, pictures)) for clocks in seen)
        print(f"{wall.count} cameras: apart {apart}")
        late = [each for each in apart if each > WITHIN_MS]
        return len(late) <= len(apart) // 20

    wait_for("all cameras to show one moment", together, AGAIN_S)


def _played(page: Page, wall: Wall, for_ms: int) -> list[list[int]]:
    """What was shown together, again and again, while so much was played."""
    seen: list[list[int]] = []

    def enough() -> bool:
        now = wall.clocks(page)
        if now is not None:
            seen.append(now)
        page.wait_for_timeout(100)  # beside that of waiting: five times a second at the most
        return len(seen) >= 20 and max(seen[-1]) - max(seen[0]) >= for_ms

    wait_for("so much played", enough)
    return seen


def test_a_still_picture_is_of_one_moment_and_steps_by_one_picture(page: Page, wall: Wall) -> None:
    wall.open(page, wall.start_ms + 5_000)
    page.keyboard.press("k")
    expect(page.get_by_test_id("sync")).to_have_attribute("data-running", "false")
    pictures = wall.pictures()
    leaders = sorted(pictures[0])

    def still() -> list[int] | None:
        clocks = still_clocks(page)
        if clocks is None or len(clocks) != wall.count:
            return None
        return clocks if wall.apart_ms(clocks, pictures) <= STILL_WITHIN_MS else None

    before = wait_for("still pictures of one moment", still)
    for key, direction in ((".", 1), (".", 1), (",", -1)):
        leader = before[0]
        page.keyboard.press(key)
        wait_for("the leader's next picture", lambda was=leader: shown_clocks(page)[0] not in (0, was))
        after = wait_for("still pictures of one moment", still)
        assert leaders.index(after[0]) - leaders.index(leader) == direction
        before = after


def test_backwards_all_go_back_together(page: Page, wall: Wall) -> None:
    if wall.count > 4:
        pytest.skip("sixteen at once are sought too slowly on a small machine to be compared")
    wall.open(page, wall.start_ms + 20_000)
    before = max(wait_for("clocks", lambda: wall.clocks(page)))
    page.keyboard.press("r")

    def gone_back() -> bool:
        clocks = wall.clocks(page)
        return clocks is not None and max(clocks) < before - 5_000

    wait_for("five seconds back", gone_back)


def test_a_camera_that_was_not_recorded_says_so_and_waits(page: Page, wall: Wall) -> None:
    hole_start, hole_end = wall.start_ms + 8_000, wall.start_ms + 14_000

    def cut(route, request):  # type: ignore[no-untyped-def]
        answer = route.fetch()
        tree = answer.json()
        at = lambda ms: datetime.fromtimestamp(ms / 1000, UTC).isoformat().replace("+00:00", "Z")  # noqa: E731
        spans = [
            part
            for span in tree["spans"]
            for part in ({**span, "end": at(hole_start)}, {**span, "start": at(hole_end)})
        ]
        gap = {"start": at(hole_start), "end": at(hole_end), "reason": "camera_lost"}
        route.fulfill(response=answer, json={**tree, "spans": spans, "gaps": [gap]})

    page.route("**/api/v1/cameras/c2/recordings?*", cut)
    page.add_init_script(NOTE_STATES)

    def over() -> list[str] | None:
        states: list[str] = page.evaluate("states")
        was_missing = any(each.startswith("missing") for each in states)
        return states if was_missing and states[-1].startswith("playing") else None

    def others_play_meanwhile() -> bool:
        wall.goto(page, wall.start_ms + 5_000)
        return "missing playing" in wait_for("the camera missing, and back", over)

    wait_for("the camera missing while another one plays, and back", others_play_meanwhile, AGAIN_S)
    assert any("Camera lost" in text for text in page.evaluate("reasons"))

    def together() -> bool:
        clocks = wall.clocks(page)
        return clocks is not None and wall.apart_ms(clocks, wall.pictures()) <= WITHIN_MS

    wait_for("all cameras together again", together)
    page.unroute_all(behavior="ignoreErrors")


def test_cameras_are_chosen_by_hand_and_each_has_its_row(page: Page, wall: Wall) -> None:
    page.goto(f"{wall.system.url}/playback")
    for count, camera_id in enumerate(wall.ids[:2], 1):
        page.get_by_label(camera_id.title(), exact=True).click()
        expect(page.locator("article")).to_have_count(count)
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_test_id("timeline")).to_have_attribute("aria-label", "Recordings of 2 cameras")
    page.get_by_test_id("sync-c1").hover()
    page.get_by_test_id("sync-c1").get_by_label("Take this camera out").click()
    expect(page.locator("article")).to_have_count(1)
