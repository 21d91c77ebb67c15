"""A camera's sub stream through the relay, and wishes for key pictures on their way back."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.relay.conftest import CAMERA, Relay, relaying, until
from tests.relay.material import PPS, SPS, VIDEO, Recorder, picture, without_arrival

from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.media import hub as hub_module
from vms.relay.address import UnixAddress, parse_stream_path

SMALL = replace(VIDEO, parameter_sets=(SPS, PPS + b"\1"), width=640, height=360)


@pytest.fixture
def sub(relay: Relay) -> Hub:
    relay.source.announce([VIDEO])
    hub = relay.others[StreamName.SUB] = Hub("camera/sub")
    hub.announce([SMALL])
    return hub


async def test_main_and_sub_are_hubs_of_their_own(relay: Relay, sub: Hub) -> None:
    main_lease, sub_lease = relay.pool.acquire(CAMERA), relay.pool.acquire(CAMERA, StreamName.SUB)
    recorders = Recorder(), Recorder()
    for lease, recorder in zip((main_lease, sub_lease), recorders, strict=True):
        lease.hub.attach(recorder)
        await lease.ready(5)
    relay.source.push(picture(0, key=True))
    sub.push(picture(1, key=True, track=SMALL))
    await until(lambda: all(recorder.units for recorder in recorders))
    assert without_arrival(recorders[0].units) == without_arrival([picture(0, key=True)])
    assert without_arrival(recorders[1].units) == without_arrival([picture(1, key=True, track=SMALL)])
    assert sub_lease.hub.tracks == (SMALL,)
    assert relay.pool.cameras() == (CAMERA,)


async def test_a_sub_stream_is_held_while_somebody_subscribes_and_given_back_after(tmp_path: Path) -> None:
    async with relaying(tmp_path / "media-0.rtsp", idle_s=0.01) as relay:
        hub = relay.others[StreamName.SUB] = Hub("camera/sub")
        hub.announce([SMALL])
        lease = relay.pool.acquire(CAMERA, StreamName.SUB)
        await lease.ready(5)
        assert relay.others_held == 1
        lease.release()
        await until(lambda: relay.players == 0)
        relay.server.end(CAMERA, StreamName.SUB)
        assert relay.others_held == 0


async def test_why_a_sub_stream_does_not_come_is_told_and_main_goes_on(relay: Relay, sub: Hub) -> None:
    relay.other_fails = "the sub stream does not come: wrong password"
    main_lease, sub_lease = relay.pool.acquire(CAMERA), relay.pool.acquire(CAMERA, StreamName.SUB)
    with pytest.raises(Unavailable, match="wrong password"):
        await sub_lease.ready(0.5)
    await main_lease.ready(5)
    assert relay.others_held == 0, "what was not opened is not held"


async def test_a_stream_that_the_camera_does_not_have_is_not_found(relay: Relay, sub: Hub) -> None:
    with pytest.raises(Unavailable, match="does not have it"):
        await relay.pool.acquire(CAMERA, StreamName.COMPAT).ready(0.5)


async def test_a_wish_for_a_key_picture_goes_back_to_where_the_camera_is_pulled(
    relay: Relay, sub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "KEY_REQUEST_S", 0.0)
    asked: list[str] = []
    relay.source.on_key_request = lambda: asked.append("main")
    sub.on_key_request = lambda: asked.append("sub")
    leases = [relay.pool.acquire(CAMERA, stream) for stream in (StreamName.MAIN, StreamName.SUB)]
    for lease in leases:
        await lease.ready(5)
    relay.source.push(picture(0, key=True))
    sub.push(picture(0, key=True, track=SMALL))
    for name, lease in zip(("main", "sub"), leases, strict=True):
        await until(lambda hub=lease.hub: hub.units)
        lease.hub.request_key()
        await until(lambda name=name: name in asked)
    assert asked == ["main", "sub"]


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("/porch", StreamName.MAIN),
        ("/porch/main", StreamName.MAIN),
        ("/porch/sub", StreamName.SUB),
        ("/porch/compat", StreamName.COMPAT),
    ],
)
def test_a_path_names_a_camera_and_a_stream(path: str, stream: StreamName) -> None:
    assert parse_stream_path(path) == (CameraId("porch"), stream)
    written = UnixAddress(Path("/x")).url(CameraId("porch"), stream).reveal()
    assert parse_stream_path(written.removeprefix("rtsp://relay")) == (CameraId("porch"), stream)


@pytest.mark.parametrize("path", ["", "/", "/porch/", "/porch/third", "/porch/sub/x", "/PORCH..", "/a b"])
def test_any_other_path_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        parse_stream_path(path)
