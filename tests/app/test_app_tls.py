"""The whole system over TLS: the API, the web app's session, and live video over HTTP/2 at the stream worker."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.free_ports import free_port

from vms.app.single import System
from vms.common.errors import Unavailable
from vms.config import Config, HttpConfig, TlsConfig, WebRtcConfig
from vms.virtual_camera import CameraOptions, VirtualCamera, VirtualCameraServer

TOKEN = "a-token-of-enough-characters"


@pytest.fixture
def files(tmp_path: Path) -> TlsConfig:
    files = TlsConfig(certificate=tmp_path / "certificate.pem", key=tmp_path / "key.pem")
    make_pair(files)
    return files


def make_pair(files: TlsConfig) -> None:
    kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", *kind.split(), *names.split(), "-keyout", files.key, "-out", files.certificate]
    subprocess.run(command, check=True, capture_output=True)


def config_of(tmp_path: Path, tls: TlsConfig) -> Config:
    http = HttpConfig(port=0, token=TOKEN, tls=tls)  # type: ignore[arg-type]
    return Config(data_dir=tmp_path / "data", http=http, webrtc=WebRtcConfig(port=0))


@pytest.fixture
async def system(tmp_path: Path, files: TlsConfig) -> AsyncIterator[System]:
    system = System(config_of(tmp_path, files))
    await system.start()
    yield system
    await system.stop()


@pytest.fixture
async def camera() -> AsyncIterator[VirtualCamera]:
    options = CameraOptions(pattern=True, width=320, height=180, frames_per_second=10, bitrate=200_000)
    server = VirtualCameraServer(options)
    await server.start()
    yield server.cameras[0]
    await server.stop()


@pytest.mark.needs("curl")
async def test_live_hls_is_found_from_the_api_and_comes_over_http2(
    system: System, camera: VirtualCamera, files: TlsConfig
) -> None:
    assert system.url.startswith("https://")
    context = ssl.create_default_context(cafile=files.certificate)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=system.url, verify=context, headers=headers) as client:
        body = {"id": "porch", "name": "Porch", "source": camera.source.reveal(), "record": "off"}
        assert (await client.post("/api/v1/cameras", json=body)).status_code == 201
        async with asyncio.timeout(30):
            while (found := await client.get("/api/v1/cameras/porch/live.m3u8")).status_code != 307:
                assert found.status_code == 503, found.text
                await asyncio.sleep(0.1)
    url = found.headers["location"]
    assert url.startswith("https://127.0.0.1:")
    assert "/hls/porch/main/index.m3u8?token=" in url
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "--http2", "--cacert", files.certificate, "-w", "%{http_version}", url),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert out.startswith(b"#EXTM3U\n")
    assert out.endswith(b"\n2")


async def test_the_web_apps_cookie_is_secure(system: System, files: TlsConfig) -> None:
    context = ssl.create_default_context(cafile=files.certificate)
    async with httpx.AsyncClient(base_url=system.url, verify=context) as client:
        answer = await client.post("/api/v1/session", json={"token": TOKEN})
    assert answer.status_code < 300, answer.text
    assert "secure" in answer.headers["set-cookie"].lower()


async def test_a_renewed_certificate_is_served_by_the_api_and_by_live_video(
    tmp_path: Path, files: TlsConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.app.certificate.LOOK_EVERY_S", 0.05)
    live_port = free_port()
    config = config_of(tmp_path, files).model_copy(update={"webrtc": WebRtcConfig(port=live_port)})
    system = System(config)
    await system.start()
    try:
        before = files.certificate.read_text().split()
        make_pair(files)
        renewed = files.certificate.read_text().split()
        assert renewed != before
        async with asyncio.timeout(30):
            for port in (int(system.url.rpartition(":")[2]), live_port):
                while await shown_certificate(port) != renewed:
                    await asyncio.sleep(0.05)
    finally:
        await system.stop()


async def shown_certificate(port: int) -> list[str]:
    return (await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))).split()


async def test_a_certificate_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    tls = TlsConfig(certificate=tmp_path / "absent.pem", key=tmp_path / "absent.key")
    system = System(config_of(tmp_path, tls))
    with pytest.raises(Unavailable, match=r"http\.tls needs a PEM certificate"):
        await system.start()
    await system.stop()
