"""A certificate that is renewed while the system serves with it."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from vms.app.certificate import CertificateWatch
from vms.common.tls import server_context
from vms.config import TlsConfig


def make_pair(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    kind = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name}"
    command = ["openssl", *kind.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def tls(tmp_path: Path) -> TlsConfig:
    certificate, key = make_pair(tmp_path, "served")
    return TlsConfig(certificate=certificate, key=key)


async def served_certificate(context: ssl.SSLContext) -> str:
    """The certificate (PEM) that a new connection is shown."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))


async def test_a_renewed_certificate_is_served_to_new_connections(tmp_path: Path, tls: TlsConfig) -> None:
    context = server_context(tls.certificate, tls.key)
    watch = CertificateWatch(tls, context, every_s=0.01)
    await watch.start()
    before = await served_certificate(context)
    renewed, key = make_pair(tmp_path, "renewed")
    shutil.move(key, tls.key)
    shutil.move(renewed, tls.certificate)
    async with asyncio.timeout(30):
        while (now := await served_certificate(context)) == before:
            await asyncio.sleep(0.01)
    await watch.stop()
    assert now.split() == tls.certificate.read_text().split()


async def test_a_half_renewed_pair_leaves_the_one_before_until_its_key_comes(
    tmp_path: Path, tls: TlsConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    context = server_context(tls.certificate, tls.key)
    watch = CertificateWatch(tls, context)
    before = await served_certificate(context)
    renewed, key = make_pair(tmp_path, "renewed")
    shutil.move(renewed, tls.certificate)
    assert not await watch.look()
    assert not await watch.look()
    assert await served_certificate(context) == before
    shutil.move(key, tls.key)
    assert await watch.look()
    assert await served_certificate(context) != before


async def test_nothing_is_loaded_again_when_nothing_changed_or_the_files_are_gone(tls: TlsConfig) -> None:
    context = server_context(tls.certificate, tls.key)
    watch = CertificateWatch(tls, context)
    before = await served_certificate(context)
    assert not await watch.look()
    tls.key.unlink()
    assert not await watch.look()
    assert await served_certificate(context) == before
