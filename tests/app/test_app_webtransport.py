"""WebTransport in the system: off unless it has a port, told where it is served, with the installation's certificate."""

import asyncio
import os
import socket
import ssl
from pathlib import Path

import httpx
import pytest
from tests.app.test_app_tls import make_pair
from tests.stream.webtransport_client import connected

from vms.app.live_options import Ladders
from vms.app.places import Places
from vms.app.plans import worker_names
from vms.app.quic import QuicRole
from vms.app.role import Around
from vms.app.settings import read_settings, settings, write_settings
from vms.app.single import System
from vms.bus.memory import MemoryBus
from vms.common.clock import SystemClock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.config import (
    Config,
    ConfigError,
    HttpConfig,
    TlsConfig,
    WebRtcConfig,
    WebTransportConfig,
    parse_config,
)
from vms.media import Hub
from vms.stream.hubs import own_hubs
from vms.stream.quic.address import WebTransportAt
from vms.virtual_camera import CameraOptions, VirtualCameraServer

TOKEN = "a-token-of-enough-characters"


def has_address(host: str) -> bool:
    try:
        socket.create_server((host, 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_it_is_off_by_default_and_one_process_where_it_has_a_port() -> None:
    assert worker_names(Config())["quic"] == []
    assert worker_names(parse_config({"webtransport": {"port": 0}}))["quic"] == ["quic-0"]


@pytest.mark.parametrize("section", [{"port": 70_000}, {"port": 1, "hold": "1h"}, {"port": 1, "viewers": 1}])
def test_a_section_that_cannot_be_is_refused_with_its_path(section: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"webtransport\."):
        parse_config({"webtransport": section})


def test_its_process_gets_no_token_of_the_api(tmp_path: Path) -> None:
    http = {"host": "0.0.0.0", "token": TOKEN}
    whole = parse_config(
        {"data_dir": str(tmp_path), "http": http, "webtransport": {"port": 4433, "hold": "100ms"}}
    )
    assert TOKEN not in settings(whole, "quic").decode()
    descriptor = write_settings(whole, "quic")
    told = read_settings(descriptor)
    os.close(descriptor)
    assert (told.http.host, told.webtransport.port, told.webtransport.hold) == ("0.0.0.0", 4433, 0.1)


@pytest.mark.parametrize(
    "text", [None, "", "{}", '{"port": null, "hashes": []}', '{"port": 1, "hashes": 3}', "[]"]
)
def test_a_place_that_cannot_be_read_is_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "webtransport.json"
    if text is not None:
        path.write_text(text)
    assert WebTransportAt.load(path) is None
    WebTransportAt(4433, ["q80="]).save(path)
    assert WebTransportAt.load(path) == WebTransportAt(4433, ["q80="])


async def test_with_http_tls_its_certificate_is_shown_and_no_hash_is_needed(tmp_path: Path) -> None:
    files = TlsConfig(certificate=tmp_path / "certificate.pem", key=tmp_path / "key.pem")
    make_pair(files)
    cameras = VirtualCameraServer(CameraOptions(pattern=True, width=320, height=180, bitrate=200_000))
    await cameras.start()
    config = Config(
        data_dir=tmp_path / "data",
        http=HttpConfig(port=0, token=TOKEN, tls=files),  # type: ignore[arg-type]
        webrtc=WebRtcConfig(port=0),
        webtransport=WebTransportConfig(port=0),
    )
    system = System(config)
    await system.start()
    try:
        option = await playable(system, files, cameras.cameras[0].source.reveal())
        assert option["certificate_hashes"] == []
        url = httpx.URL(str(option["url"]))
        async with connected(url.port or 0, trusted=files.certificate) as client:
            client.ask(url.raw_path.decode())
            await client.until(lambda: len(client.pictures) > 5)
    finally:
        await system.stop()
        await cameras.stop()
    assert WebTransportAt.load(tmp_path / "data" / "run" / "webtransport.json") is None


async def playable(system: System, files: TlsConfig, source: str) -> dict[str, object]:
    """The way that is WebTransport, once the camera is live."""
    context = ssl.create_default_context(cafile=files.certificate)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        httpx.AsyncClient(base_url=system.url, verify=context, headers=headers) as client,
        asyncio.timeout(30),
    ):
        body = {"id": "porch", "name": "Porch", "source": source, "record": "off"}
        (await client.post("/api/v1/cameras", json=body)).raise_for_status()
        while True:
            options: list[dict[str, object]] = (await client.get("/api/v1/cameras/porch/live")).json()[
                "options"
            ]
            found = next(each for each in options if each["protocol"] == "webtransport")
            if found["playable"]:
                return found
            await asyncio.sleep(0.1)


async def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    files = TlsConfig(certificate=tmp_path / "certificate.pem", key=tmp_path / "key.pem")
    make_pair(files)
    config = Config(data_dir=tmp_path, http=HttpConfig(tls=files), webtransport=WebTransportConfig(port=0))
    places = Places(tmp_path)
    places.make()
    around = Around(config, places, "quic-0", MemoryBus(), SystemClock())
    role = QuicRole(around, own_hubs(no_camera), url_secret=bytes(32))
    await role.start()
    try:
        make_pair(files)
        with pytest.raises(ConnectionError):
            async with connected(role.listener.port, trusted=files.certificate):
                pass
        await role.look_at_certificates()
        async with connected(role.listener.port, trusted=files.certificate) as client:
            assert not client.over
        files.key.write_text("half written")
        await role.look_at_certificates()
        async with connected(role.listener.port, trusted=files.certificate) as client:
            assert not client.over
    finally:
        await role.stop()


@pytest.mark.skipif(not has_address("::1"), reason="this machine has no ::1")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
async def test_on_this_machine_alone_it_is_served_where_chromium_looks_for_localhost(
    tmp_path: Path, host: str
) -> None:
    config = Config(data_dir=tmp_path, http=HttpConfig(host=host), webtransport=WebTransportConfig(port=0))
    places = Places(tmp_path)
    places.make()
    around = Around(config, places, "quic-0", MemoryBus(), SystemClock())
    role = QuicRole(around, own_hubs(no_camera), url_secret=bytes(32))
    await role.start()
    try:
        async with connected(role.listener.port, host="::1") as client:
            assert not client.over
    finally:
        await role.stop()


def no_camera(camera_id: CameraId) -> Hub:
    raise NotFound(camera_id)


class Live:
    """What the API knows of other processes, as far as it matters here."""

    def __init__(self, *, alive: bool) -> None:
        self.alive = alive

    def http_port(self, camera_id: CameraId) -> int | None:
        return None

    def serves_webtransport(self) -> bool:
        return self.alive


class Streams:
    """Cameras of which nothing is known yet."""

    def status(self, camera_id: CameraId) -> None:
        return None

    def told(self, camera_id: CameraId) -> None:
        return None


@pytest.mark.parametrize("alive", [True, False])
def test_nobody_is_sent_to_a_process_that_is_gone_and_left_its_place_behind(
    tmp_path: Path, alive: bool
) -> None:
    places = Places(tmp_path)
    places.make()
    WebTransportAt(4433, ["q80="]).save(places.webtransport)
    config = Config(data_dir=tmp_path, webtransport=WebTransportConfig(port=4433))
    ladders = Ladders(config, Live(alive=alive), Streams(), bytes(32), SystemClock())  # type: ignore[arg-type]
    option = ladders.options(CameraId("porch"), StreamName.MAIN, (), "vms.example")[-1]
    assert option.protocol == "webtransport"
    if alive:
        assert option.url is not None
        assert option.url.startswith("https://vms.example:4433/api/live/porch?")
        assert option.certificate_hashes == ["q80="]
    else:
        assert (option.url, option.playable, option.certificate_hashes) == (None, False, ())
