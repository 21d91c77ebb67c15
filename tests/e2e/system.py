"""The real system in a process of its own, and its API."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from vms.common.clock import NS, parse_rfc3339

T = TypeVar("T")


def wait_for(what: str, probe: Callable[[], T | None], timeout_s: float = 30) -> T:
    """Call `probe` until it gives something true; fails naming `what` when it never does."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {timeout_s:.0f} s")
        time.sleep(0.1)


class Process:
    """A child process whose output is kept, and whose lines can be waited for."""

    def __init__(self, *command: str) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def find(self, pattern: str, count: int = 1, timeout_s: float = 30) -> list[str]:
        """The first `count` matches of `pattern` in the output."""

        def probe() -> list[str] | None:
            found = re.findall(pattern, self.output)
            if self._process.poll() is not None and len(found) < count:
                pytest.fail(f"the process ended with {self._process.returncode}:\n{self.output[-4000:]}")
            return found[:count] if len(found) >= count else None

        return wait_for(f"output of {pattern!r}", probe, timeout_s)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process and wait for its end; its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            status = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            pytest.fail(f"the process ignored {how.name}:\n{self.output[-4000:]}")
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):
            self.lines.extend(iter(self._process.stdout.readline, ""))


class System(Process):
    """`vms serve` on free ports, and its API."""

    def __init__(self, data_dir: Path, cameras: list[dict[str, Any]], **sections: Any) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(exist_ok=True)
        config = data_dir / "vms.yaml"
        tree = {
            "data_dir": str(data_dir),
            "http": {"port": 0},
            "webrtc": {"port": 0},
            "cameras": cameras,
            **sections,
        }
        config.write_text(json.dumps(tree))
        super().__init__(sys.executable, "-m", "vms", "serve", "--config", str(config), "--json-logs")
        self.url = self.find(r'"url": "(http://[^"]+?)/?"')[0]
        token = sections.get("http", {}).get("token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=f"{self.url}/api/v1", timeout=30, headers=headers)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.http.close()
        return super().stop(how)

    def camera(self, camera_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/cameras/{camera_id}")
        answer.raise_for_status()
        return dict(answer.json())

    def wait_live(self, camera_id: str, timeout_s: float = 30) -> dict[str, Any]:
        """The camera, once it is live and recording."""

        def probe() -> dict[str, Any] | None:
            camera = self.camera(camera_id)
            recording = camera["recording"] or camera["record"] == "off"
            return camera if camera["state"] == "live" and recording else None

        return wait_for(f"{camera_id} live", probe, timeout_s)

    def recordings(self, camera_id: str, **params: str) -> dict[str, Any]:
        answer = self.http.get(f"/cameras/{camera_id}/recordings", params=params)
        answer.raise_for_status()
        return dict(answer.json())

    def recorded_s(self, camera_id: str) -> float:
        return sum(seconds(span["start"], span["end"]) for span in self.recordings(camera_id)["spans"])

    def wait_recorded(self, camera_id: str, at_least_s: float, timeout_s: float = 40) -> dict[str, Any]:
        """The timeline, once it holds so many seconds."""
        wait_for(
            f"{at_least_s} s of {camera_id} recorded",
            lambda: self.recorded_s(camera_id) >= at_least_s or None,
            timeout_s,
        )
        return self.recordings(camera_id)


def seconds(start: str, end: str) -> float:
    """Seconds between two RFC 3339 times."""
    return (parse_rfc3339(end) - parse_rfc3339(start)) / NS


def camera(camera_id: str, source: str, **more: Any) -> dict[str, Any]:
    """A camera as the configuration and the API take it."""
    return {"id": camera_id, "name": camera_id.title(), "source": source, **more}
