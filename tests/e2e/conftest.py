"""The real system in processes of its own, real cameras to point it at, and a real browser before it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.e2e.browser import ARGUMENTS, new_page
from tests.e2e.system import System, filming, gst_filming, serving


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Start the system: ``serve(cameras, *options, **sections)``; stopped after the test."""
    with serving(tmp_path) as serve:
        yield serve


@pytest.fixture
def virtual_camera() -> Iterator[Callable[..., list[str]]]:
    """Start `vms camera` with the given arguments; gives the cameras' URLs."""
    with filming() as film:
        yield film


@pytest.fixture
def gst_camera() -> Iterator[Callable[..., str]]:
    """Start GStreamer's RTSP server with a launch line; gives its URL."""
    with gst_filming() as film:
        yield film


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = new_page(browser)
    yield page
    page.context.close()
