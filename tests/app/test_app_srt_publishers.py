"""Who may publish by SRT: the role, with callers of our own and a media process's side of a link."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vms.app.places import SRT, Places
from vms.app.role import Around
from vms.app.srt import SrtRole
from vms.bus.memory import MemoryBus
from vms.common.clock import SystemClock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.config import parse_config
from vms.gateway.client import RegistryClient
from vms.ingest.srt import gateway
from vms.ingest.srt.link import CONNECTED, Kind, Link, Opening, State
from vms.proto import worker_pb2
from vms.stream import HubLease
from vms.wire.srt import CallRefused, RejectReason, SrtConnection, SrtGone, connect

pytestmark = pytest.mark.needs("libsrt")
STAGE = CameraId("stage")
WATCHES, SENDS = "for-those-who-watch", "for-those-who-send"


def _no_hub(camera_id: CameraId, stream: StreamName = StreamName.MAIN, /) -> HubLease:
    raise NotFound(camera_id)


@pytest.fixture
async def role(tmp_path: Path) -> AsyncIterator[SrtRole]:
    srt = {"port": 0, "passphrase": WATCHES, "publish_passphrase": SENDS}
    config = parse_config({"data_dir": str(tmp_path), "srt": srt}, "test")
    places = Places(tmp_path)
    places.make()
    bus = MemoryBus()
    await bus.start()
    around = Around(config, places, SRT, bus, SystemClock())
    role = SrtRole(around, _no_hub, RegistryClient(bus, tmp_path), url_secret=b"secret")
    await role.start()
    yield role
    await role.stop()
    await bus.stop()


async def _call(role: SrtRole, stream_id: str, passphrase: str | None = SENDS) -> SrtConnection:
    at = ("127.0.0.1", role.service.port)
    return await connect(role.service.poller, at, stream_id=stream_id, passphrase=passphrase)


async def _place(role: SrtRole, path: Path) -> Link:
    link = await Link.open(Places(path).srt)
    link.send(Opening(STAGE).encode())
    async with asyncio.timeout(10):
        while role.gateway.refuses(STAGE) is not None:
            await asyncio.sleep(0.01)
    return link


async def test_publishers_need_the_passphrase_that_is_theirs_and_one_has_the_place(
    role: SrtRole, tmp_path: Path
) -> None:
    link = await _place(role, tmp_path)
    for passphrase in (WATCHES, "neither-of-the-two", None):
        with pytest.raises(CallRefused) as refused:
            await _call(role, "publish:stage", passphrase)
        assert refused.value.reason in (RejectReason.BAD_SECRET, RejectReason.UNSECURE)
    with pytest.raises(CallRefused) as refused:
        await _call(role, "publish:stage/sub")
    assert refused.value.reason == RejectReason.BAD_REQUEST

    publisher = await _call(role, "#!::m=publish,r=stage")
    kind, payload = await link.receive()
    assert (kind, State.parse(payload).code) == (Kind.STATE, CONNECTED)
    with pytest.raises(CallRefused) as refused:
        await _call(role, "publish:stage")
    assert refused.value.reason == RejectReason.CONFLICT
    publisher.send(b"\x47" * 1316)
    assert await link.receive() == (Kind.DATA, b"\x47" * 1316)
    publisher.close()
    kind, payload = await link.receive()
    assert (kind, State.parse(payload).code) == (Kind.STATE, "ended")
    link.close()


async def test_a_camera_that_has_no_place_is_not_told_from_one_with_a_wrong_passphrase(
    role: SrtRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "PLACE_S", 0.2)
    with pytest.raises(CallRefused) as refused:
        await _call(role, "publish:no-such", "neither-of-the-two")
    assert refused.value.reason == RejectReason.BAD_SECRET

    publisher = await _call(role, "publish:no-such")
    async with asyncio.timeout(20):
        with pytest.raises(SrtGone):
            while True:
                publisher.send(b"\x47" * 1316)
                await asyncio.sleep(0.02)


async def test_a_publisher_that_comes_a_moment_before_its_place_gets_it(
    role: SrtRole, tmp_path: Path
) -> None:
    publisher = await _call(role, "publish:stage")
    link = await Link.open(Places(tmp_path).srt)
    link.send(Opening(STAGE).encode())

    kind, payload = await link.receive()

    assert (kind, State.parse(payload).code) == (Kind.STATE, CONNECTED)
    assert State.parse(payload).delay_ms == 120
    publisher.send(b"\x47" * 188)
    assert await link.receive() == (Kind.DATA, b"\x47" * 188)
    publisher.close()
    link.close()


async def test_a_port_that_is_taken_is_told_by_the_status_until_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.app.srt.AGAIN_S", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        config = parse_config({"data_dir": str(tmp_path), "srt": {"port": port}}, "test")
        places = Places(tmp_path)
        places.make()
        bus = MemoryBus()
        await bus.start()
        around = Around(config, places, SRT, bus, SystemClock())
        role = SrtRole(around, _no_hub, RegistryClient(bus, tmp_path), url_secret=b"secret")
        await role.start()
        status = worker_pb2.WorkerStatus()
        role.describe(status)
        assert "choose another srt.port" in status.detail
        changed = asyncio.Event()
        role.on_change = changed.set
    await asyncio.wait_for(changed.wait(), 20)

    status = worker_pb2.WorkerStatus()
    role.describe(status)
    assert (status.detail, role.service.port) == ("", port)
    with pytest.raises(CallRefused) as refused:
        await connect(role.service.poller, ("127.0.0.1", port), stream_id="read:porch")
    assert refused.value.reason == RejectReason.NOT_FOUND
    await role.stop()
    await bus.stop()


async def test_a_role_that_could_never_start_ends_all_the_same(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        config = parse_config({"data_dir": str(tmp_path), "srt": {"port": taken.getsockname()[1]}}, "test")
        places = Places(tmp_path)
        places.make()
        bus = MemoryBus()
        await bus.start()
        role = SrtRole(
            Around(config, places, SRT, bus, SystemClock()),
            _no_hub,
            RegistryClient(bus, tmp_path),
            url_secret=b"secret",
        )
        await role.start()
        await asyncio.wait_for(role.stop(), 20)
        await bus.stop()
