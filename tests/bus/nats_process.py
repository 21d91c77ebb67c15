"""A real nats-server for tests, run as the supervisor runs it."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from vms.bus.address import BusAddress
from vms.bus.server import NatsServer


class NatsProcess:
    def __init__(self, directory: Path) -> None:
        self.run_dir = directory / "run"
        self.store_dir = directory / "store"
        self.run_dir.mkdir(mode=0o700)
        self.server = NatsServer(self.run_dir, self.store_dir)
        self._process: subprocess.Popen[bytes] | None = None

    def address(self) -> BusAddress:
        return self.server.address

    def start(self, *, largest_file_bytes: int | None = None) -> None:
        """largest_file_bytes: the disk refuses to write beyond it."""
        for _ in range(5):
            if self._started(largest_file_bytes):
                return
        raise AssertionError("\n".join(self.log_lines()))

    def _started(self, largest_file_bytes: int | None) -> bool:
        """False when another program took the port in the meantime: it is prepared anew then, as the supervisor does."""
        argv, environment = self.server.prepare()
        if largest_file_bytes is not None:
            # SIGXFSZ is ignored, so that write() fails as it does on a full disk
            limit = f"trap '' XFSZ; ulimit -f {largest_file_bytes // 1024}; exec \"$@\""
            argv = ["/bin/bash", "-c", limit, "bash", *argv]
        with (self.run_dir / "nats.log").open("wb") as log:
            self._process = subprocess.Popen(argv, env=environment, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            if any("Server is ready" in line for line in self.log_lines()):
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def log_lines(self) -> list[str]:
        return (self.run_dir / "nats.log").read_text().splitlines()

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(30)
        self._process = None
        return code

    def lose_store(self) -> None:
        shutil.rmtree(self.store_dir)


async def until(condition: object, timeout_s: float = 20) -> None:
    """Wait until condition() is true; it may be a coroutine function."""
    async with asyncio.timeout(timeout_s):
        while True:
            met = condition()
            if asyncio.iscoroutine(met):
                met = await met
            if met:
                return
            await asyncio.sleep(0.005)
