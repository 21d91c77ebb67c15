"""A real S3 server (SeaweedFS) on loopback, one for all tests; it can be killed and started again.

``from tests.storage.seaweedfs import s3_server`` in a conftest gives its tests the fixture.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.free_ports import free_port

from vms.config import TierConfig
from vms.storage.body import PlainBody
from vms.storage.tiers.errors import TierUnavailable
from vms.storage.tiers.object import ObjectTier

ACCESS_KEY, SECRET_KEY = "vms-tests", "only-for-tests-0123456789"
START_TIMEOUT_S = 60.0
_PORTS = ("master", "volume", "filer", "s3")
_numbers = itertools.count()


class S3Server:
    """SeaweedFS with its data in `folder`. The bucket is made by its first use."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._ports = {name: free_port() for name in (*_PORTS, *(f"{name}.grpc" for name in _PORTS))}
        self._process: subprocess.Popen[bytes] | None = None
        keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        tree = {"identities": [{"name": "vms", "credentials": [keys], "actions": ["Admin"]}]}
        (folder / "s3.json").write_text(json.dumps(tree))
        (folder / "data").mkdir()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3']}"

    def tier(self, **options: object) -> TierConfig:
        """A tier in a folder of its own of one bucket; `options` override."""
        tree: dict[str, object] = {
            "name": "cloud",
            "url": f"s3://vms-tests/site-{next(_numbers)}/recordings",
            "after": 3600.0,
            "endpoint": self.endpoint,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
        }
        return TierConfig.model_validate(tree | options)

    def start(self) -> None:
        """Start it, or do so again after `kill`; its objects are what they were."""
        ports = [
            f"-{name.replace('.grpc', '')}.port{'.grpc' if '.grpc' in name else ''}={port}"
            for name, port in self._ports.items()
        ]
        command = [self._program, "-logtostderr=true", "server", f"-dir={self._folder / 'data'}"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", *ports]
        command += [f"-s3.config={self._folder / 's3.json'}", "-master.telemetry=false"]
        command += [
            "-master.volumeSizeLimitMB=64",
            "-master.electionTimeout=1s",
            "-volume.max=40",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        command += [f"-{name}.localSocket={self._folder / name}.sock" for name in ("s3", "filer")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        self._wait()

    def kill(self) -> None:
        """End it as a power loss of its machine would, seen from here."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def hang(self) -> None:
        """Answer nobody, and refuse nobody, until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _wait(self) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self._write_something()
            except (OSError, TierUnavailable):
                if time.monotonic() > deadline_s or self._process is None or self._process.poll() is not None:
                    tail = (self._folder / "server.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the S3 server did not start: {tail}") from None
                time.sleep(0.1)
            else:
                return

    def _write_something(self) -> None:
        with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=5):
            pass
        descriptor = os.memfd_create("probe")
        os.write(descriptor, b"probe")
        body = PlainBody(descriptor)
        try:
            ObjectTier(self.tier(), UUID(int=0)).put_file("probe", body)
        finally:
            body.close()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Running; a test that kills it starts it again."""
    program = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
    if not Path(program).exists():
        pytest.skip("SeaweedFS (weed) is not installed; see scripts/setup-dev.sh")
    server = S3Server(program, tmp_path_factory.mktemp("seaweedfs"))
    server.start()
    yield server
    server.kill()
