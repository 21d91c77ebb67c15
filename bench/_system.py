"""The sides of the recording benches: virtual cameras, the whole system, and its peer.

Each runs in processes of its own, and its processes can be named: what is not counted is not measured.

Belongs here: starting, asking, ending. Does not: measuring (_processes), the benches' figures.
"""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from bench._processes import tree

START_S = 60.0
CAMERA_START_S = 0.5  # added for each camera


@dataclass(frozen=True, slots=True)
class Member:
    """A process of the system."""

    role: str
    worker: str
    pid: int


class VirtualCameras:
    """`count` paced cameras in one process; those that nobody pulls cost nothing."""

    def __init__(self, footage: Path, count: int) -> None:
        command = ["camera", str(footage), "--count", str(count), "--port", "0"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vms", *command], stdout=subprocess.PIPE, text=True
        )
        self.urls: list[str] = []
        assert self._process.stdout is not None
        while len(self.urls) < count:
            line = self._process.stdout.readline()
            if not line:
                sys.exit("bench: the virtual cameras ended; their message is above")
            self.urls += re.findall(r"rtsp://\S+", line)

    @property
    def pids(self) -> list[int]:
        return [self._process.pid]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()


class System:
    """`vms serve` on free ports, recording one camera a URL into `folder`.

    media: how many media processes; None: as many as the machine gets by default. changes: to the configuration.
    """

    def __init__(
        self,
        folder: Path,
        urls: Sequence[str],
        *,
        media: int | None = None,
        single_process: bool = False,
        changes: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        folder.mkdir()
        self.folder = folder
        self.cameras = len(urls)
        self._log = folder / "log"
        config = folder / "vms.json"  # JSON is YAML
        config.write_text(json.dumps(_configuration(folder, urls, media) | dict(changes)))
        command = [sys.executable, "-m", "vms", "serve", "--config", str(config), "--json-logs"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command + (["--single-process"] if single_process else []), stderr=log
            )
        try:
            self.url = self._wait_for_url()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it in order."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def members(self) -> list[Member]:
        """Every process: those of `vms status`, the launcher, and whatever else descends from that."""
        command = [sys.executable, "-m", "vms", "status", "--json", "--data-dir", str(self.folder)]
        status = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30).stdout)
        known = {
            process["pid"]: Member(process["role"], process["worker"], process["pid"])
            for process in status["processes"]
        }
        descended = tree(self._process.pid)
        if strangers := known.keys() - set(descended):
            sys.exit(f"bench: {sorted(strangers)} are processes of the system, and not its launcher's")
        known.setdefault(self._process.pid, Member("launcher", "launcher", self._process.pid))
        return [known.get(pid) or Member(name := _program(pid), name, pid) for pid in descended]

    def wait_recording(self) -> None:
        """Until every camera is live and recorded."""
        deadline = time.monotonic() + START_S + CAMERA_START_S * self.cameras
        left: list[str] = []
        while time.monotonic() < deadline:
            cameras = self._cameras()
            left = [
                f"{each['id']} {each['state']}"
                for each in cameras
                if each["state"] != "live" or not each["recording"]
            ]
            if len(cameras) == self.cameras and not left:
                return
            time.sleep(0.5)
        sys.exit(f"bench: not every camera was recorded in time: {', '.join(left) or 'none is there'}")

    def recorded_bytes(self) -> int:
        return recorded_bytes(self.folder)

    def gaps(self) -> list[str]:
        """Camera and reason of every gap in all recordings."""
        found: list[str] = []
        for number in range(self.cameras):
            recordings = self._get(f"/api/v1/cameras/c{number}/recordings")
            reasons = [gap["reason"] for gap in recordings["gaps"]]
            unexplained = len(recordings["spans"]) - 1 - len(reasons)
            found += [f"c{number} {reason}" for reason in reasons + ["unexplained"] * unexplained]
        return found

    def metrics(self) -> "Metrics":
        asked_s = time.monotonic()
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return Metrics(text, (asked_s + time.monotonic()) / 2)

    def _cameras(self) -> list[dict[str, Any]]:
        """None while the API has not heard of them yet, which it says with 503."""
        try:
            cameras: list[dict[str, Any]] = self._get("/api/v1/cameras")["cameras"]
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return []
        return cameras

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(r'"url": "(http://[^"]+)"', self._log.read_text())
            if found:
                return found[1].rstrip("/")
            time.sleep(0.1)
        sys.exit(f"bench: the system did not start; its log:\n{self._log.read_text()[-2000:]}")


class Metrics:
    """What `/metrics` said at `at_s` of the monotonic clock."""

    def __init__(self, text: str, at_s: float) -> None:
        self.at_s = at_s
        self._families = list(text_string_to_metric_families(text))

    def values(self, name: str, **labels: str) -> Iterator[float]:
        """Of the samples with this name and these labels, among others."""
        for family in self._families:
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    yield sample.value

    def loop_lag_p99_ms(self) -> float | None:
        """Of the media process that is latest; of the only process, where it is one."""
        for role in ("media", "supervisor"):
            lags = list(self.values("vms_event_loop_lag_seconds", quantile="0.99", role=role))
            if lags:
                return max(lags) * 1000
        return None


class FfmpegRecorders:
    """The peer: one `ffmpeg -c copy -f segment` process a camera."""

    def __init__(self, folder: Path, urls: Sequence[str]) -> None:
        folder.mkdir()
        self.folder = folder
        self._processes = [_ffmpeg(url, folder / str(number)) for number, url in enumerate(urls)]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def wait_recording(self) -> None:
        """Until each has written a part of a second or more."""
        deadline = time.monotonic() + START_S + CAMERA_START_S * len(self._processes)
        while sum(path.stat().st_size > 100_000 for path in self.folder.rglob("*.mp4")) < len(
            self._processes
        ):
            if time.monotonic() > deadline:
                sys.exit("bench: not every ffmpeg recorded in time")
            time.sleep(0.2)

    def recorded_bytes(self) -> int:
        return recorded_bytes(self.folder)


def recorded_bytes(folder: Path) -> int:
    """The size of all recordings below `folder`, those being written included."""
    return sum(path.stat().st_size for path in folder.rglob("*.mp4"))


def _configuration(folder: Path, urls: Sequence[str], media: int | None) -> dict[str, Any]:
    free = {"port": 0}
    return {
        "data_dir": str(folder),
        "http": free,
        "webrtc": free,
        "rtsp": free,
        "roles": {} if media is None else {"media": media},
        "storage": {"volumes": [{"path": str(folder / "recordings"), "quota": "100GiB"}]},
        "cameras": [
            {"id": f"c{number}", "name": f"c{number}", "source": url} for number, url in enumerate(urls)
        ],
    }


def _ffmpeg(url: str, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    pull = f"ffmpeg -nostdin -v error -rtsp_transport tcp -i {url} -c copy"
    segments = "-f segment -segment_time 300 -segment_format mp4 -reset_timestamps 1"
    fragments = "-segment_format_options movflags=frag_keyframe+empty_moov"
    command = [*pull.split(), *segments.split(), *fragments.split(), str(folder / "%d.mp4")]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _program(pid: int) -> str:
    """The name of a process that `vms status` does not list."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    name = words[words.index("-m") + 1] if "-m" in words else words[0]
    return name.rpartition("/")[2].rpartition(".")[2].replace("_", " ")
