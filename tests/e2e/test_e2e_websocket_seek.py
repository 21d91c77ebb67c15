"""A viewer goes back into the recording on its live socket, over a stretch that was not recorded, and to the present."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import async_playwright
from tests.e2e.browser import ARGUMENTS, PATIENCE_MS
from tests.e2e.players import decoded
from tests.e2e.system import System, camera, filming, seconds, serving, wait_for
from tests.stream.websocket_client import Client

from vms.common.clock import NS, parse_rfc3339, rfc3339
from vms.stream.websocket.messages import Kind

pytestmark = pytest.mark.e2e
Connect = Callable[[str], Awaitable[Client]]

WATCH = """async ({url, at}) => {
    const seen = window.seen = {gaps: 0, inits: 0, ended: null};
    const video = document.body.appendChild(document.createElement('video'));
    video.muted = true;
    const source = new MediaSource();
    video.src = URL.createObjectURL(source);
    await new Promise(opened => source.addEventListener('sourceopen', opened));
    const queue = [];
    let buffer = null;
    const next = () => {
        while (queue.length && !buffer?.updating) {
            const item = queue.shift();
            if (typeof item !== 'string') buffer.appendBuffer(item);
            else if (buffer) buffer.changeType(item);
            else {
                buffer = source.addSourceBuffer(item);
                buffer.mode = 'sequence';
                buffer.addEventListener('updateend', next);
            }
        }
    };
    video.addEventListener('error', () => seen.ended = video.error.message);
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => socket.send(JSON.stringify({type: 'seek', at}));
    socket.onclose = () => seen.ended = 'closed';
    let recorded = false;
    socket.onmessage = ({data}) => {
        if (typeof data === 'string') {
            const said = JSON.parse(data);
            if (said.type === 'hello') recorded = said.mode === 'recorded';
            if (said.type === 'gap') seen.gaps += 1;
            if (said.type !== 'init' || !recorded) return;
            seen.inits += 1;
            queue.push(said.mime);
        } else if (recorded) queue.push(data.slice(17));
        next();
    };
    await video.play();
}"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, dict[str, str]]]:
    """A system that records on an encrypted volume, did not for a while, and its gap."""
    folder = tmp_path_factory.mktemp("seek")
    key = folder / "volume.key"
    subprocess.run([sys.executable, "-m", "vms", "volume-key", "new", key], check=True, timeout=60)
    volume = {"path": str(folder / "volume"), "encryption": {"key_file": str(key)}}
    with filming() as film, serving(folder) as serve:
        (source,) = film("--pattern")
        roles = {"media": 1, "stream": 1, "api": 1}
        system = serve([], storage={"volumes": [volume]}, roles=roles)
        assert system.http.post("/cameras", json=camera("porch", source)).status_code == 201
        system.wait_live("porch")
        system.wait_recorded("porch", 4)
        record(system, "off")
        time.sleep(1.5)  # which nobody records
        record(system, "continuous")
        gap = wait_for("a gap recorded", lambda: ended_gap(system))
        wait_for("footage behind it", lambda: behind_s(system, gap) > 2)
        yield system, gap


def behind_s(system: System, gap: dict[str, str]) -> float:
    """Seconds that were recorded after a gap."""
    spans = system.recordings("porch")["spans"]
    return sum(seconds(span["start"], span["end"]) for span in spans if span["start"] >= gap["end"])


def record(system: System, how: str) -> None:
    answer = system.http.patch("/cameras/porch", json={"record": how})
    assert answer.status_code == 200
    wait_for(f"recording {how}", lambda: system.camera("porch")["recording"] is (how != "off"))


def ended_gap(system: System) -> dict[str, str] | None:
    gaps = [each for each in system.recordings("porch")["gaps"] if each["reason"] == "recording_off"]
    return gaps[0] if gaps and gaps[0]["end"] else None


def websocket_url(system: System) -> str:
    options = system.http.get("/cameras/porch/live").json()["options"]
    return next(str(each["url"]) for each in options if each["protocol"] == "websocket" and each["playable"])


def before_the(gap: dict[str, str]) -> str:
    """A time to seek to: some seconds back."""
    return rfc3339(parse_rfc3339(gap["start"]) - 2 * NS)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    clients: list[Client] = []

    async def begin(address: str) -> Client:
        url = urlsplit(address)
        clients.append(await Client.connect(url.port or 0, f"{url.path}?{url.query}"))
        return clients[-1]

    yield begin
    for client in clients:
        client.close()
        with suppress(OSError):
            await client.writer.wait_closed()


async def test_a_viewer_goes_back_into_the_open_recording_and_to_the_present_on_one_socket(
    recorded: tuple[System, dict[str, str]], connect: Connect, tmp_path: Path
) -> None:
    system, gap = recorded
    client = await connect(websocket_url(system))
    assert client.status == 101
    await client.until(lambda: client.said and client.said[0]["mode"] == "live")
    before = len(client.order)
    client.say(type="seek", at=before_the(gap))
    await client.until(lambda: "gap" in client.order)
    await client.until(lambda: client.order[client.order.index("gap") :].count("MUXED") > 3)

    (told,) = [said for said in client.said if said["type"] == "gap"]
    assert told["reason"] == "recording_off"
    missing_s = (told["end_ms"] - told["start_ms"]) / 1000
    assert missing_s == pytest.approx(seconds(gap["start"], gap["end"]), abs=0.1)
    assert client.order[before:].count("MUXED_INIT") == 2
    captured = [capture_ns for kind, capture_ns, _ in client.media if kind is Kind.MUXED]
    assert captured == sorted(captured)
    footage = tmp_path / "footage.mp4"
    for part in after_each_init(client):
        footage.write_bytes(part)
        assert len(decoded(footage)) > 3

    client.say(type="live")
    await client.until(lambda: client.order[-1] == "VIDEO")
    assert client.said[-1]["type"] == "init"
    assert client.media[-1][1] > captured[-1]


def after_each_init(client: Client) -> list[bytes]:
    parts: list[bytes] = []
    for kind, _, data in client.media:
        if kind is Kind.MUXED_INIT:
            parts.append(data)
        elif kind is Kind.MUXED:
            parts[-1] += data
    return parts


async def test_what_a_viewer_measured_is_in_the_metrics(
    recorded: tuple[System, dict[str, str]], connect: Connect
) -> None:
    system, _ = recorded
    client = await connect(websocket_url(system))
    client.say(type="report", stages={"network": 0.004})

    def reported() -> bool:
        name, stage = "vms_latency_seconds_count", "server_to_browser"
        return [each.value for each in system.metrics(name, stage=stage, role="stream")] == [1.0]

    wait_for("the report counted", reported)


async def test_where_nothing_is_recorded_the_viewer_is_told_and_the_present_goes_on(
    recorded: tuple[System, dict[str, str]], connect: Connect
) -> None:
    system, _ = recorded
    client = await connect(websocket_url(system))
    client.say(type="seek", at=rfc3339(time.time_ns() + 3600 * NS))
    await client.until(lambda: "error" in client.order)
    (error,) = [said for said in client.said if said["type"] == "error"]
    assert "the recording before it ends at" in error["detail"]
    shown = len(client.media)
    await client.until_media(shown + 3)
    assert client.media[-1][0] is Kind.VIDEO


@pytest.mark.needs("chromium")
async def test_a_browser_plays_over_the_gap_and_on_into_what_is_being_recorded(
    recorded: tuple[System, dict[str, str]],
) -> None:
    system, gap = recorded
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = await browser.new_page()
        await page.goto(system.url)
        await page.evaluate(WATCH, {"url": websocket_url(system), "at": before_the(gap)})
        await page.wait_for_function(
            "() => seen.ended !== null || document.querySelector('body > video').currentTime > 5",
            timeout=PATIENCE_MS,
        )
        seen = await page.evaluate("() => seen")
        await browser.close()
    assert (seen["gaps"], seen["inits"], seen["ended"]) == (1, 2, None)
