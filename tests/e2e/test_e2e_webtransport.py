"""A tile over WebTransport, for who asks for it in the page's address, and for nobody else."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from tests.e2e.browser import plays, tiles_play
from tests.e2e.system import PATIENCE_S, System, camera, filming, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]
SHOWN_MS = "tile => parseFloat(tile.querySelector('[class*=latency]')?.textContent ?? 'NaN')"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with filming() as film, serving(tmp_path_factory.mktemp("webtransport")) as serve:
        (url,) = film("--pattern")
        system = serve(
            [camera("porch", url)],
            roles={"media": 1, "stream": 1, "api": 1},
            transcode={"streams": 0},
            webtransport={"port": 0},
        )
        system.wait_live("porch")
        wait_for("WebTransport to be served", lambda: options(system)[-1]["playable"])
        yield system


def options(system: System) -> list[dict[str, Any]]:
    """The ways to see the camera."""
    found: list[dict[str, Any]] = system.http.get("/cameras/porch/live").raise_for_status().json()["options"]
    return found


def test_webtransport_is_offered_last_with_the_hash_of_its_certificate(system: System) -> None:
    offered = options(system)
    last = offered[-1]
    assert (last["protocol"], last["playable"]) == ("webtransport", True)
    assert last["url"].startswith("https://127.0.0.1:")
    assert len(last["certificate_hashes"]) == 1
    assert "experimental" in last["detail"]
    assert offered[0]["protocol"] == "webrtc"


def test_a_tile_plays_by_webtransport_where_the_address_asks_for_it_and_after_its_process_was_killed(
    page: Page, system: System
) -> None:
    page.goto(f"{system.url}/?protocol=webtransport")
    tile = page.get_by_test_id("tile-porch")
    expect(tile).to_have_attribute("data-state", "live")
    expect(tile.get_by_test_id("way")).to_have_attribute("data-protocol", "webtransport")
    expect(tile.get_by_test_id("way")).to_contain_text("experimental")
    plays(page, "[data-testid=tile-porch] video")
    wait_for("one viewer", lambda: system.camera("porch")["viewers"] == 1)
    age_ms = wait_for("the age of what is shown", lambda: (tile.evaluate(SHOWN_MS) or 0) > 0 or None)
    assert age_ms
    system.kill("quic-0")
    tiles_play(page, ["porch"], timeout_s=PATIENCE_S)
    expect(tile.get_by_test_id("way")).to_have_attribute("data-protocol", "webtransport")


def test_at_the_address_localhost_a_tile_plays_too_and_goes_on_when_it_was_paused(
    page: Page, system: System
) -> None:
    page.goto(f"{system.url.replace('127.0.0.1', 'localhost')}/?protocol=webtransport")
    tile = page.get_by_test_id("tile-porch")
    expect(tile).to_have_attribute("data-state", "live")
    expect(tile.get_by_test_id("way")).to_have_attribute("data-protocol", "webtransport")
    page.evaluate("document.querySelector('[data-testid=tile-porch] video').pause()")
    plays(page, "[data-testid=tile-porch] video")


def test_a_tile_is_not_shown_by_webtransport_where_nobody_asks_for_it(page: Page, system: System) -> None:
    page.goto(system.url)
    expect(page.get_by_test_id("way")).to_have_attribute("data-protocol", "webrtc")


def test_a_tile_says_that_webtransport_is_not_served(page: Page, system: System) -> None:
    def without(route: Route) -> None:
        response = route.fetch()
        document = response.json()
        document["options"] = [each for each in document["options"] if each["protocol"] != "webtransport"]
        route.fulfill(response=response, json=document)

    page.route("**/api/v1/cameras/porch/live?*", without)
    page.goto(f"{system.url}/?protocol=webtransport")
    tile = page.get_by_test_id("tile-porch")
    expect(tile).to_contain_text("does not serve WebTransport")
    page.unroute_all(behavior="ignoreErrors")  # what is on its way then has nobody to answer
