"""A tile that is enlarged gets the larger stream over the connection that it has, through all processes."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from bench._viewer import SinkViewer
from playwright.sync_api import Browser, Page
from tests.e2e.system import System, camera, filming, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

WATCH = """async url => {
    const connection = window.connection = new RTCPeerConnection();
    const video = window.video = document.createElement('video');
    video.muted = true;
    document.body.append(video);
    connection.ontrack = event => { video.srcObject = event.streams[0] ?? new MediaStream([event.track]); video.play(); };
    connection.addTransceiver('video', {direction: 'recvonly'});
    await connection.setLocalDescription(await connection.createOffer());
    const headers = {'Content-Type': 'application/sdp'};
    let answer;
    for (let attempt = 0; attempt < 60; attempt++) {
        answer = await fetch(url, {method: 'POST', headers, body: connection.localDescription.sdp});
        if (answer.status !== 503) break;  // to be tried again soon
        await new Promise(resolve => setTimeout(resolve, 500));
    }
    await connection.setRemoteDescription({type: 'answer', sdp: await answer.text()});
    return [answer.headers.get('X-Stream'), answer.headers.get('Location')];
}"""
VIEW = """async ([session, wish]) => {
    const options = {method: 'PUT', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(wish)};
    return (await (await fetch(`${session}/view`, options)).json()).stream;
}"""
SHOWN = """async () => {
    const stats = [...(await window.connection.getStats()).values()].find(each => each.type === 'inbound-rtp');
    return {...stats, width: window.video.videoWidth};
}"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with filming() as film, serving(tmp_path_factory.mktemp("enlarging")) as serve:
        (url,) = film("--pattern", "--sub", "--bitrate", "800000")
        cameras = [camera("porch", url, sub_source=f"{url}/sub")]
        cameras.append(camera("gate", url, sub_source=url.replace("camera-1", "camera-9")))
        system = serve(cameras, roles={"media": 1, "stream": 1, "api": 1})
        for camera_id in ("porch", "gate"):
            system.wait_live(camera_id)
        yield system


@pytest.fixture
def page(browser: Browser, system: System) -> Iterator[Page]:
    """A page of the API's origin that may run a player of its own."""
    page = browser.new_context(bypass_csp=True).new_page()
    page.goto(f"{system.url}/api/v1/cameras")
    yield page
    page.context.close()


@contextmanager
def pulled(system: System, stream: str) -> Iterator[None]:
    """A stream of the porch is wanted by somebody and comes: a sub stream is pulled for those alone who want it, and
    whoever comes before its first picture may get main."""
    place = "/cameras/porch/whep"
    with closing(SinkViewer()) as viewer:
        sdp, headers = viewer.offer(), {"Content-Type": "application/sdp"}

        def begun() -> str | None:
            answer = system.http.post(place, params={"stream": stream}, content=sdp, headers=headers)
            return answer.headers["Location"] if answer.status_code == 201 else None

        session = wait_for(f"a viewer of {stream}", begun)
        yield
        system.http.delete(f"{system.url}{session}")


def wait_shown(page: Page, width: int) -> dict[str, float]:
    """What is known of the reception once pictures of that width are shown, some of them after each other."""

    def probe() -> dict[str, float] | None:
        shown: dict[str, float] = page.evaluate(SHOWN)
        return shown if shown["width"] == width else None

    before = wait_for(f"pictures {width} wide", probe)

    def more() -> dict[str, float] | None:
        shown: dict[str, float] = page.evaluate(SHOWN)
        return shown if shown["framesDecoded"] > before["framesDecoded"] + 10 else None

    return wait_for("more of them", more)


def came_through(page: Page) -> float:
    """How many pictures the decoder has let out or given up."""
    shown: dict[str, float] = page.evaluate(SHOWN)
    return shown["framesDecoded"] + shown["framesDropped"]


def test_an_enlarged_tile_goes_from_sub_to_main_and_back_and_loses_nothing(
    page: Page, system: System
) -> None:
    with pulled(system, "sub"):
        stream, session = page.evaluate(WATCH, "/api/v1/cameras/porch/whep?width=320&height=180")
        assert stream == "sub"
        small = wait_shown(page, 640)
    assert page.evaluate(VIEW, [session, {"width": 1920, "height": 1080}]) == "main"
    large = wait_shown(page, 1280)
    with pulled(system, "sub"):
        assert page.evaluate(VIEW, [session, {"width": 320, "height": 180}]) == "sub"
        last = wait_shown(page, 640)
    assert small["ssrc"] == large["ssrc"] == last["ssrc"]
    # A browser on a busy machine drops pictures that it has decoded, and asks again; none may be missing before that.
    assert last["packetsLost"] == 0
    wait_for("every picture that was received by then", lambda: came_through(page) >= last["framesReceived"])
    wait_for("one viewer", lambda: system.camera("porch")["viewers"] == 1)
    assert system.metrics("vms_stream_switches_total", camera="porch")[0].value == 2


def test_a_small_tile_of_a_camera_whose_sub_stream_is_down_shows_main(page: Page, system: System) -> None:
    stream, _ = page.evaluate(WATCH, "/api/v1/cameras/gate/whep?width=320&height=180")
    assert stream == "main"
    wait_shown(page, 1280)
