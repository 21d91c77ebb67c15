"""Evidence in Chromium over the real system: what is verified and what was changed, exports, bookmarks, locks, alarms,
and when a camera is recorded."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.picture_clock import shown_clock, small_cameras
from tests.e2e.system import System, camera, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffmpeg")]

SEGMENT_S = 5
CLOSED = 3  # files of each camera that tests look at
LOST = "rtsp://127.0.0.1:1/stream"  # nobody listens there


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two cameras that are recorded, and one that should be and is not."""
    folder = tmp_path_factory.mktemp("evidence")
    with small_cameras(2, 320, 180, 10, 200_000) as urls, serving(folder) as serve:
        cameras = [camera("porch", urls[0]), camera("attic", urls[1]), camera("lost", LOST)]
        system = serve(cameras, storage={"segment": f"{SEGMENT_S}s"})
        for each in ("porch", "attic"):
            system.wait_live(each)
        for each in ("porch", "attic"):
            wait_for(
                f"closed files of {each}", lambda each=each: len(closed_segments(system, each)) >= CLOSED, 120
            )
        yield system


def closed_segments(system: System, camera_id: str) -> list[dict[str, Any]]:
    return [segment for segment in system.recordings(camera_id)["segments"] if segment["closed"]]


def moment(text: str, later_s: float = 0) -> str:
    at = datetime.fromisoformat(text) + timedelta(seconds=later_s)
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def open_still(page: Page, system: System, camera_id: str, at: str) -> None:
    """Show the recording of a time, still."""
    page.goto(f"{system.url}/cameras/{camera_id}?at={at}")
    wait_for("a picture", lambda: shown_clock(page))
    page.keyboard.press("k")
    expect(page.get_by_test_id("play")).to_have_attribute("aria-label", "Play")


def test_a_recording_is_said_to_be_verified_with_who_signed_it(page: Page, system: System) -> None:
    segment = closed_segments(system, "porch")[1]
    open_still(page, system, "porch", moment(segment["start"], 1))
    badge = page.get_by_test_id("verified-badge")
    expect(badge).to_have_attribute("data-verdict", "verified")
    badge.click()
    explanation = page.get_by_test_id("verified-explanation")
    expect(explanation).to_contain_text("unchanged since it was signed")
    expect(explanation).to_contain_text(re.compile(r"([0-9A-F]{4} ){15}[0-9A-F]{4}"))
    expect(explanation).to_contain_text("vms verify")
    expect(page.get_by_test_id("changed-alert")).to_have_count(0)


def test_one_changed_byte_is_said_loudly_where_it_is_and_of_every_range_with_it(
    page: Page, system: System
) -> None:
    segments = closed_segments(system, "attic")
    changed, whole = segments[2], segments[0]
    change_one_byte(system, "attic", changed)
    open_still(page, system, "attic", moment(changed["start"], 1))
    expect(page.get_by_test_id("verified-badge")).to_have_attribute("data-verdict", "changed")
    expect(page.get_by_test_id("changed-alert")).to_contain_text("not what was recorded")
    page.get_by_test_id("export-select").click()
    expect(page.get_by_test_id("selection-verdict")).to_have_attribute("data-verdict", "changed")
    open_still(page, system, "attic", moment(whole["start"], 1))
    expect(page.get_by_test_id("verified-badge")).to_have_attribute("data-verdict", "verified")


def change_one_byte(system: System, camera_id: str, segment: dict[str, Any]) -> None:
    """In the middle of the file's pictures, on the disk."""
    files = sorted((system.data_dir / "recordings").rglob("*.mp4"))
    named = datetime.fromisoformat(segment["start"]).astimezone(UTC).strftime("%H-%M-%S.%f")[:-3]
    (path,) = [each for each in files if camera_id in each.parts and each.name.startswith(named)]
    assert path.stat().st_size == segment["bytes"]
    with path.open("r+b") as file:
        file.seek(segment["bytes"] // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))


def test_an_export_is_made_downloaded_and_verified_without_the_system(
    page: Page, system: System, tmp_path: Path
) -> None:
    segments = closed_segments(system, "porch")
    open_still(page, system, "porch", moment(segments[2]["start"], 1))
    page.get_by_test_id("export-open").click()
    form = page.get_by_test_id("export-form")
    expect(page.get_by_test_id("export-estimate")).to_contain_text("about")
    form.get_by_label("Archive with a player").check()
    form.get_by_label("Title").fill("Case 4711")
    page.get_by_test_id("export-submit").click()
    job = page.get_by_role("article", name="Case 4711")
    expect(job).to_have_attribute("data-state", "done", timeout=120_000)
    page.reload()
    expect(job).to_have_attribute("data-state", "done")
    with page.expect_download() as begun:
        job.get_by_test_id("export-file").click()
    archive = tmp_path / begun.value.suggested_filename
    begun.value.save_as(archive)
    assert archive.suffix == ".zip"
    command = [sys.executable, "-m", "vms", "verify", str(archive), "--data-dir", str(system.data_dir)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    job.get_by_role("button", name="Remove Case 4711").click()
    expect(job).to_have_count(0)
    wait_for(
        "its end",
        lambda: all(each["title"] != "Case 4711" for each in system.http.get("/exports").json()["exports"]),
    )


def test_an_export_of_several_cameras_is_begun_where_they_play_together(page: Page, system: System) -> None:
    at = moment(closed_segments(system, "porch")[1]["start"], 1)
    page.goto(f"{system.url}/playback?cameras=porch,attic&at={at}")
    page.get_by_test_id("export-open").click()
    form = page.get_by_test_id("export-form")
    archive = form.get_by_label("Archive with a player")
    expect(archive).to_be_checked()
    expect(archive).to_be_disabled()
    form.get_by_label("Title").fill("Both")
    page.get_by_test_id("export-submit").click()
    job = page.get_by_role("article", name="Both")
    expect(job).to_contain_text("Porch, Attic")
    expect(job).to_have_attribute("data-state", re.compile("done|failed"), timeout=120_000)


def test_a_moment_is_marked_found_and_forgotten(page: Page, system: System) -> None:
    at = moment(closed_segments(system, "porch")[1]["start"], 1)
    open_still(page, system, "porch", at)
    clock = wait_for("a clock that can be read", lambda: shown_clock(page))
    page.keyboard.press("b")
    page.get_by_test_id("bookmark-form").get_by_label("Title").fill("White van")
    page.keyboard.press("Enter")
    mark = page.get_by_test_id("bookmark-mark")
    expect(mark).to_have_count(1)
    mark.hover()
    expect(page.get_by_role("tooltip", name="White van")).to_be_visible()
    page.goto(f"{system.url}/evidence")
    search = page.get_by_label("Search titles and notes")
    search.fill("nothing like it")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    search.fill("VAN")
    row = page.locator("[data-testid^=bookmark-]", has_text="White van")
    row.get_by_role("button", name="Change White van").click()
    page.get_by_test_id("bookmark-form").get_by_label("Note").fill("number plate is readable")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("number plate is readable")
    row.get_by_role("link", name="Porch").click()
    wait_for("the marked moment", lambda: abs((shown_clock(page) or 0) - clock) < 3_000)
    page.goto(f"{system.url}/evidence")
    row.get_by_role("button", name="Remove White van").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(row).to_have_count(0)
    wait_for("its end", lambda: system.http.get("/bookmarks").json()["bookmarks"] == [])


def test_a_range_is_locked_shown_and_released(page: Page, system: System) -> None:
    at = moment(closed_segments(system, "porch")[1]["start"], 1)
    open_still(page, system, "porch", at)
    page.get_by_test_id("export-select").click()
    page.get_by_test_id("lock-range").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("Burglary, case 4711")
    dialog.get_by_label("Your name").fill("Ana")
    dialog.get_by_role("button", name="Lock", exact=True).click()
    expect(dialog).to_have_count(0)
    lock = wait_for("the lock", lambda: system.http.get("/locks").json()["locks"])[0]
    assert (lock["reason"], lock["created_by"], lock["holds"]) == ("Burglary, case 4711", "Ana", True)
    timeline = page.get_by_test_id("timeline")
    expect(timeline.locator("rect[class*=locked]")).not_to_have_count(0)
    page.goto(f"{system.url}/evidence/locks")
    row = page.get_by_test_id(f"lock-{lock['id']}")
    expect(row).to_contain_text("recordings: obeys")
    row.get_by_role("button").click()
    expect(dialog.get_by_label("Your name")).to_have_value("Ana")
    dialog.get_by_label("Why it is no longer needed").fill("case closed")
    dialog.get_by_role("button", name="Release").click()
    expect(row).to_have_count(0)
    page.get_by_label("Also released ones").check()
    expect(row).to_have_attribute("data-holds", "false")
    expect(row).to_contain_text("case closed")


def test_a_week_is_written_and_the_camera_is_recorded_so(page: Page, system: System) -> None:
    source = system.http.get("/cameras/porch").json()["source"]
    made = {"id": "gate", "name": "Gate", "source": source, "record": "off"}
    assert system.http.post("/cameras", json=made).status_code == 201
    page.goto(f"{system.url}/cameras")
    page.get_by_role("button", name="Edit Gate").click()
    page.get_by_test_id("record-mode").click()
    page.get_by_role("option", name="By schedule").click()
    schedule = page.get_by_test_id("schedule")
    schedule.get_by_label("From: hours").fill("22")
    schedule.get_by_label("To (the next day): hours").fill("06")
    expect(schedule.get_by_label("To (the next day): hours")).to_have_value("06")
    expect(schedule.locator("[data-day=tue]")).to_have_attribute(
        "aria-label", "00:00–06:00 Continuous, 22:00–24:00 Continuous"
    )
    schedule.locator("label", has_text="Around events").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    kept = system.camera("gate")
    assert kept["record"] == "schedule"
    assert kept["schedule"]["entries"] == [
        {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "22:00", "end": "06:00", "record": "events"}
    ]
    state = page.get_by_test_id("recording-gate")
    expect(state).to_have_attribute("data-state", re.compile("waiting_event|not_scheduled"))
    page.get_by_role("button", name="Edit Gate").click()
    expect(page.get_by_test_id("record-mode")).to_have_value("By schedule")
    page.keyboard.press("Escape")
    assert system.http.delete("/cameras/gate").status_code == 204


def test_a_camera_that_should_be_recorded_and_is_not_is_said_on_every_page(
    page: Page, system: System
) -> None:
    page.goto(system.url)
    bell = page.get_by_test_id("alarm-bell")
    expect(bell).to_have_attribute("data-count", re.compile("[1-9]"))
    expect(page.get_by_test_id("tile-lost")).to_have_attribute("data-unrecorded", "true")
    expect(page.get_by_test_id("tile-porch")).not_to_have_attribute("data-unrecorded", "true")
    banner = page.get_by_test_id("alarm-banner")
    expect(banner).to_contain_text("Lost")
    banner.get_by_role("button", name="Put away").click()
    expect(banner).to_have_count(0)
    bell.click()
    alarm = page.locator("[data-slug=camera_not_recorded]", has_text="Lost")
    expect(alarm).to_contain_text("Critical")
    alarm.get_by_role("link").click()
    page.wait_for_url(f"{system.url}/cameras/lost")
    page.goto(f"{system.url}/system")
    volume = page.get_by_test_id("volume")
    expect(volume).to_have_attribute("data-state", "ok")
    expect(volume).to_contain_text("used")
    expect(page.get_by_test_id("volumes").locator("[data-slug=camera_not_recorded]")).to_have_count(1)
