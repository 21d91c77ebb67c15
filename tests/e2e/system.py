"""The real system in a process of its own, and its API."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from vms.common.clock import NS, parse_rfc3339
from vms.common.errors import VmsError
from vms.proto import worker_pb2
from vms.supervisor.view import fetch_status

T = TypeVar("T")
GST_SERVER = Path(__file__).parents[1] / "fixtures" / "gst_rtsp_server.py"
PATIENCE_S = 90.0
"""Until what will come is there, also where two cores do the work of eight; nobody waits as long for what comes at once."""


def wait_for(what: str, probe: Callable[[], T | None], timeout_s: float = PATIENCE_S) -> T:
    """Call `probe` until it gives something true; fails naming `what` when it never does."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {timeout_s:.0f} s")
        time.sleep(0.1)


def runs(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state != b"Z"


class Process:
    """A child process whose output is kept, and whose lines can be waited for."""

    def __init__(self, *command: str) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def find(self, pattern: str, count: int = 1, timeout_s: float = PATIENCE_S) -> list[str]:
        """The first `count` matches of `pattern` in the output."""

        def probe() -> list[str] | None:
            ended = self._process.poll() is not None
            if ended:
                self._reader.join(5)  # its last words may not have been read yet
            found = re.findall(pattern, self.output)
            if ended and len(found) < count:
                pytest.fail(f"the process ended with {self._process.returncode}:\n{self.output[-4000:]}")
            return found[:count] if len(found) >= count else None

        return wait_for(f"output of {pattern!r}", probe, timeout_s)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process and wait for its end; its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            status = self._process.wait(90)  # a launcher ends what is stuck after 60 s
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
    """`vms serve` on free ports, and its API. `rtsp_url` is empty where no players are served."""

    def __init__(
        self,
        data_dir: Path,
        cameras: list[dict[str, Any]],
        *options: str,
        wait_ready: bool = True,
        **sections: Any,
    ) -> None:
        """wait_ready: until it says so and its API knows its cameras; else `sections` must name the port of `http`."""
        self.data_dir = data_dir
        data_dir.mkdir(exist_ok=True)
        self.config = data_dir / "vms.yaml"
        self.sections = sections
        self.configure(cameras)
        command = [sys.executable, "-m", "vms", "serve", "--config", str(self.config), "--json-logs"]
        super().__init__(*command, *options)
        self.rtsp_url = ""
        token = sections.get("http", {}).get("token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(timeout=PATIENCE_S, headers=headers)
        try:
            if wait_ready:
                self.url = self.find(r'"url": "(http://[^"]+?)/?"', timeout_s=120)[0]
                served = re.findall(r'"rtsp": "(rtsp://[^"]+?)/?"', self.output)
                self.rtsp_url = served[0] if served else ""
            else:
                self.url = f"http://127.0.0.1:{sections['http']['port']}"
            self.http.base_url = httpx.URL(f"{self.url}/api/v1")
            if wait_ready:
                wait_for("its cameras known to the API", lambda: self.http.get("/cameras").status_code != 503)
        except BaseException:
            self.stop(signal.SIGKILL)  # nobody else knows of it
            raise

    def configure(self, cameras: list[dict[str, Any]], **sections: Any) -> None:
        """Write the configuration file anew; `sections` replace those of before."""
        self.sections = {**self.sections, **sections}
        ports = {"http": {"port": 0}, "webrtc": {"port": 0}, "rtsp": {"port": 0}}
        tree = {"data_dir": str(self.data_dir), **ports, "cameras": cameras, **self.sections}
        self.config.write_text(json.dumps(tree))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.http.close()
        return super().stop(how)

    def processes(self) -> dict[str, dict[str, Any]]:
        """What `vms status --json` says, by worker."""
        command = [sys.executable, "-m", "vms", "status", "--json", "--data-dir", str(self.data_dir)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert run.returncode == 0, run.stderr
        return {process["worker"]: process for process in json.loads(run.stdout)["processes"]}

    def asked(self) -> dict[str, worker_pb2.ProcessStatus]:
        """What the supervisor says of its processes, by worker; nothing while it does not answer."""
        answers: list[worker_pb2.ProcessList] = []

        def ask() -> None:
            with contextlib.suppress(VmsError):
                answers.append(asyncio.run(fetch_status(self.data_dir / "run")))

        thread = threading.Thread(target=ask)  # Playwright has the event loop of this one
        thread.start()
        thread.join()
        return {process.worker: process for answer in answers for process in answer.processes}

    def wait_running(self, *but_for: str, timeout_s: float = PATIENCE_S) -> dict[str, int]:
        """The process ids by worker, once every process runs and has one."""

        def probe() -> dict[str, int] | None:
            found = {name: each for name, each in self.asked().items() if name not in but_for}
            runs = found and all(each.state == "running" and each.pid for each in found.values())
            return {name: each.pid for name, each in found.items()} if runs else None

        return wait_for("every process running", probe, timeout_s)

    def wait_replaced(self, before: dict[str, int], workers: Collection[str]) -> dict[str, int]:
        """The process ids once each of `workers` is another process and all run; the others must be the same."""

        def probe() -> dict[str, int] | None:
            now = self.wait_running()
            return now if all(now.get(name, before[name]) != before[name] for name in workers) else None

        now = wait_for(f"new processes for {', '.join(workers)}", probe)
        kept = {name: pid for name, pid in before.items() if name not in workers}
        assert {name: now.get(name) for name in kept} == kept
        return now

    def kill(self, worker: str) -> None:
        """kill -9 one process of the system."""
        os.kill(self.wait_running()[worker], signal.SIGKILL)

    def metrics(self, name: str, **labels: str) -> list[Sample]:
        """The samples of `name` that bear these labels, from the one page of metrics."""
        answer = self._got(f"{self.url}/metrics")
        families = text_string_to_metric_families(answer.text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return [sample for sample in samples if labels.items() <= sample.labels.items()]

    def placed(self, live: bool = True) -> dict[str, list[str]]:
        """The media processes that pull each camera; live: those alone that get pictures."""
        found: dict[str, list[str]] = {}
        for sample in self.metrics("vms_camera_live", role="media"):
            if sample.value or not live:
                found.setdefault(sample.labels["camera"], []).append(sample.labels["worker"])
        return found

    def camera(self, camera_id: str) -> dict[str, Any]:
        return dict(self._got(f"/cameras/{camera_id}").json())

    def wait_live(self, camera_id: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The camera, once it is live and recording."""

        def probe() -> dict[str, Any] | None:
            camera = self.camera(camera_id)
            recording = camera["recording"] or camera["record"] == "off"
            return camera if camera["state"] == "live" and recording else None

        return wait_for(f"{camera_id} live", probe, timeout_s)

    def recordings(self, camera_id: str, **params: str) -> dict[str, Any]:
        return dict(self._got(f"/cameras/{camera_id}/recordings", params).json())

    def _got(self, url: str, params: dict[str, str] | None = None) -> httpx.Response:
        """An answer that is none of "try again in a moment"."""

        def probe() -> httpx.Response | None:
            answer = self.http.get(url, params=params)
            return answer if answer.status_code != 503 else None

        answer = wait_for(f"an answer to GET {url}", probe)
        answer.raise_for_status()
        return answer

    def recorded_s(self, camera_id: str) -> float:
        return sum(seconds(span["start"], span["end"]) for span in self.recordings(camera_id)["spans"])

    def wait_recorded(
        self, camera_id: str, at_least_s: float, timeout_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """The timeline, once it holds so many seconds."""
        wait_for(
            f"{at_least_s} s of {camera_id} recorded",
            lambda: self.recorded_s(camera_id) >= at_least_s or None,
            timeout_s,
        )
        return self.recordings(camera_id)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Callable[..., System]]:
    """Gives ``serve(cameras, *options, **sections)``, which starts a system; all are stopped at the end, also when it failed.

    What each logged is then in `folder`, for whoever looks into a failure.
    """
    running: list[System] = []

    def serve(
        cameras: list[dict[str, Any]], *options: str, data_dir: Path | None = None, **sections: Any
    ) -> System:
        running.append(System(data_dir or folder / "data", cameras, *options, **sections))
        stack.callback(keep_log, len(running) - 1)
        stack.callback(running[-1].stop)
        return running[-1]

    def keep_log(number: int) -> None:
        (folder / f"log-{number}.jsonl").write_text(running[number].output)

    with contextlib.ExitStack() as stack:
        yield serve


@contextlib.contextmanager
def filming() -> Iterator[Callable[..., list[str]]]:
    """Gives ``film(*arguments, count=1)``, which starts `vms camera` and returns the URLs of its cameras."""

    def film(*arguments: str, count: int = 1) -> list[str]:
        command = [sys.executable, "-m", "vms", "camera", *arguments, "--count", str(count)]
        if "--port" not in arguments:
            command += ["--port", "0"]
        process = Process(*command)
        stack.callback(process.stop)
        return process.find(r"rtsp://\S+", count)

    with contextlib.ExitStack() as stack:
        yield film


@contextlib.contextmanager
def gst_filming() -> Iterator[Callable[..., str]]:
    """Gives ``film(launch, *arguments)``, which starts GStreamer's RTSP server and returns its URL."""

    def film(launch: str, *arguments: str) -> str:
        process = Process("/usr/bin/python3", str(GST_SERVER), launch, *arguments)
        stack.callback(process.stop)
        return process.find(r"rtsp://\S+")[0]

    with contextlib.ExitStack() as stack:
        yield film


def seconds(start: str, end: str) -> float:
    """Seconds between two RFC 3339 times."""
    return (parse_rfc3339(end) - parse_rfc3339(start)) / NS


def camera(camera_id: str, source: str, **more: Any) -> dict[str, Any]:
    """A camera as the configuration and the API take it."""
    return {"id": camera_id, "name": camera_id.title(), "source": source, **more}
