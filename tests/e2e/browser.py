"""What Chromium shows of the system: pages, and pictures that move."""

from collections.abc import Collection

from playwright.sync_api import Browser, Page, expect
from tests.e2e.system import PATIENCE_S, wait_for

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
PATIENCE_MS = round(
    PATIENCE_S * 1000
)  # Playwright's own 5 s of `expect` are too few where other tests run beside
expect.set_options(timeout=PATIENCE_MS)
DECODED = "video => video.getVideoPlaybackQuality().totalVideoFrames"
PICTURE = """video => {
    const canvas = document.createElement('canvas');
    canvas.width = 64; canvas.height = 36;
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0, 64, 36);
    return Array.from(context.getImageData(0, 0, 64, 36).data).join();
}"""
TILES = """() => Object.fromEntries(
    Array.from(document.querySelectorAll('[data-testid^="tile-"]')).map(tile => [
        tile.dataset.testid.slice(5),
        tile.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames ?? 0,
    ])
)"""
MORE_PICTURES = 40  # more than a player holds back


def new_page(browser: Browser) -> Page:
    """A page in a context of its own; close that after use."""
    context = browser.new_context(
        locale="en-GB", viewport={"width": 1280, "height": 800}, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


def plays(page: Page, selector: str) -> None:
    """Fails unless decoded pictures grow and the picture changes."""
    video = page.locator(selector).first
    expect(video).to_be_visible()
    before = wait_for("a decoded picture", lambda: video.evaluate(DECODED) or None)
    picture = video.evaluate(PICTURE)
    wait_for("more decoded pictures", lambda: video.evaluate(DECODED) >= before + 20)
    wait_for("another picture", lambda: video.evaluate(PICTURE) != picture)


def tiles_play(page: Page, camera_ids: Collection[str], timeout_s: float = PATIENCE_S) -> None:
    """Fails unless every tile of the grid shows more pictures from now on, be it of a new session."""
    shown = dict.fromkeys(camera_ids, 0)
    before: dict[str, int] = page.evaluate(TILES)

    def probe() -> bool:
        now: dict[str, int] = page.evaluate(TILES)
        for camera_id in camera_ids:
            new, old = now.get(camera_id, 0), before.get(camera_id, 0)
            shown[camera_id] += new - old if new >= old else new
            before[camera_id] = new
        return min(shown.values()) >= MORE_PICTURES

    wait_for("moving pictures in every tile", probe, timeout_s)
