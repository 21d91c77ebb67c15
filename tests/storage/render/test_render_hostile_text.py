"""What people type in, and names that mean something to some system, in archives: none of it does anything."""

import json
import subprocess
import zipfile
from asyncio import run
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, sync_playwright
from tests.e2e.browser import ARGUMENTS
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux
from tests.storage.render.rendering import Renderer, also_of

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.storage.render import ExportOrder, ExportRefused
from vms.storage.render.archive import clip_name
from vms.storage.render.job_rules import check_order
from vms.storage.render.player import player_page
from vms.storage.render.readme import readme_text

HOSTILE = [
    "</script><script>window.hacked = true</script>",
    "<img src=x onerror='window.hacked = true'>",
    '"><svg onload=window.hacked=true>',
    "<!--<script>",
    "]]>--></style></title><script>window.hacked=true</script>",
    "`+(window.hacked=true)+`${window.hacked=true}",
    "'+(window.hacked=true)+'\\",
    "/*FACTS*/null",
    "*/ window.hacked = true; /*",
    "{title} {0} %s \\u003c/script>",
    "\u2028window.hacked=true\u2029",
    "\u202eexe.4pm\u202c \u2066left",
    "../../../../etc/passwd",
    "..\\..\\windows\\system32",
    "a\x00b\x1b[31m\r\nHOW TO VERIFY\n\nTrust everybody.",
    "🎥 Entrée n° 3 – ação 入口 \U0010ffff",
    "x" * 200,
]
CON = CameraId("con")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def archive(tmp_path: Path, plain_movie: Path) -> Path:
    """An archive full of hostile text, of two cameras, one called as a device of Windows is."""

    async def make() -> Path:
        folder = tmp_path / "recordings"
        folder.mkdir()
        shelf = Shelf(folder)
        units = demux(plain_movie)[:20]
        also_of(shelf, shelf.record(units), CON)
        shelf.record(units)
        renderer = Renderer(shelf, tmp_path / "data")
        await renderer.start()
        order = ExportOrder(
            (PORCH, CON),
            NOON_NS,
            NOON_NS + 2 * NS,
            title="".join(HOSTILE[:4]),
            note="\n".join(HOSTILE),
            asked_by=HOSTILE[14],
            names={PORCH: " ".join(HOSTILE), CON: HOSTILE[0]},
        )
        path = await renderer.done(order)
        await renderer.stop()
        return path

    # Playwright's own loop may be running here, so this one gets a thread to itself
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run, make()).result()


@pytest.mark.needs("chromium")
def test_an_archive_full_of_hostile_text_unpacks_where_it_should_and_its_player_shows_the_text(
    archive: Path, browser: Browser, tmp_path: Path
) -> None:
    target = tmp_path / "unpacked"
    subprocess.run(["unzip", "-q", str(archive), "-d", str(target)], check=True, timeout=30)
    with zipfile.ZipFile(archive) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path / "again")
    assert {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()} == set(names)
    for name in names:
        place = PurePosixPath(name)
        assert not place.is_absolute() and ".." not in place.parts and "\\" not in name
    assert names[:2] == ["clips/porch.mp4", "clips/con_.mp4"]
    page = browser.new_context(locale="en-GB").new_page()
    page.set_default_timeout(20_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto((target / "player.html").as_uri())
    page.wait_for_function("() => window.player.cameras.every((c) => c.video.readyState >= 2)")
    assert page.evaluate("() => window.hacked") is None and said == []
    assert page.evaluate("() => document.querySelectorAll('script, img, svg').length") == 1
    shown = page.evaluate("() => [...document.querySelectorAll('.label')].map((each) => each.textContent)")
    assert shown == [" ".join(HOSTILE), HOSTILE[0]]
    assert page.evaluate("() => document.title") == page.locator("h1").text_content() == "".join(HOSTILE[:4])
    note = page.evaluate("() => [...document.querySelectorAll('#facts td')].map((each) => each.textContent)")
    assert "\n".join(HOSTILE) in note
    page.context.close()


def facts(**changes: object) -> dict[str, object]:
    known: dict[str, object] = {
        "title": "",
        "note": "",
        "asked_by": "",
        "made_at": "2026-11-23T12:00:00.000Z",
        "node": "attic",
        "start": "2026-11-23T12:00:00.000Z",
        "end": "2026-11-23T12:00:02.000Z",
        "exact": True,
        "burn_in": None,
        "cameras": [],
    }
    return known | changes


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("zone", ["localtime", "Factory", "right/UTC", "posixrules", "UTC", "Asia/Kathmandu"])
def test_the_player_opens_with_a_time_zone_that_the_browser_does_not_know(
    browser: Browser, tmp_path: Path, zone: str
) -> None:
    path = tmp_path / "player.html"
    path.write_text(player_page(facts(burn_in={"time_zone": zone})), encoding="utf-8")
    page = browser.new_context(locale="en-GB").new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function("() => document.getElementById('now').textContent.includes('2026')")
    assert errors == [] and zone in page.locator("#facts").inner_text()
    page.context.close()


@given(st.lists(st.text(max_size=40), min_size=4, max_size=4))
@settings(max_examples=200, deadline=None)
def test_no_text_leaves_the_script_that_it_stands_in_and_all_of_it_arrives(texts: list[str]) -> None:
    title, note, asked_by, name = texts
    told = facts(title=title, note=note, asked_by=asked_by, cameras=[{"name": name}])
    page = player_page(told)
    begin = page.index("const facts = ") + len("const facts = ")
    line = page[begin : page.index(";\nconst TEXTS", begin)]
    assert json.loads(line) == told
    assert not set(line) & {"<", ">", "&", "\u2028", "\u2029"}
    assert page.count("<script>") == page.count("</script>") == 1


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_adds_lines_to_the_readme(title: str, asked_by: str) -> None:
    lines = len(readme_text(facts(title="Case", asked_by="ana")).splitlines())
    assert lines - 4 <= len(readme_text(facts(title=title, asked_by=asked_by)).splitlines()) <= lines


@pytest.mark.parametrize("camera", ["con", "nul", "aux", "prn", "com1", "lpt9"])
def test_no_clip_is_called_as_a_device_of_windows_is(camera: str) -> None:
    assert PurePosixPath(clip_name(CameraId(camera))).stem == f"{camera}_"


def test_half_a_character_is_refused_where_it_is_asked_for() -> None:
    for field in ("title", "note", "asked_by"):
        order = ExportOrder((PORCH,), NOON_NS, NOON_NS + NS, **{field: "a\ud800"})  # type: ignore[arg-type]
        with pytest.raises(ExportRefused, match="half a character"):
            check_order(order)
