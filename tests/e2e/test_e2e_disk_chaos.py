"""Processes are killed at random while a disk hangs, fills up and is pulled: nothing that was said to be recorded is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.system import System, camera, wait_for
from tests.storage.disks import Ext4Disk, ext4

from vms.common.clock import NS, parse_rfc3339

pytestmark = [pytest.mark.e2e]

ROUNDS = int(os.environ.get("VMS_CHAOS_ROUNDS", "6"))
SEED = int(os.environ.get("VMS_CHAOS_SEED", "4"))
TROUBLE_S = 3.5  # longer than a stall takes to be noticed
PRE_S, POST_S = 2.0, 4.0
MEDIA_RSS_BYTES = 500 << 20
CAMERAS = ("always", "alarmed")
TOLERANCE_NS = NS // 25  # a picture: times of two tracks and of two files are not cut at the same sample


class Witness:
    """Asks the API all the time what is recorded, and raises events; remembers every answer."""

    def __init__(self, system: System) -> None:
        self.reported: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in CAMERAS}
        self.events_ns: list[int] = []
        self.media_rss_bytes = 0
        self._system = system
        self._http = httpx.Client(base_url=f"{system.url}/api/v1", timeout=20)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._http.close()

    def _run(self) -> None:
        event_s = time.monotonic()
        while not self._ended.wait(0.4):
            for name in CAMERAS:
                with suppress(httpx.HTTPError):
                    for segment in segments(self._http, name):
                        self.reported[name][segment["id"]] = span(segment)
            if time.monotonic() - event_s > 9:
                event_s = time.monotonic()
                at_ns = time.time_ns()
                with suppress(httpx.HTTPError):
                    raised = self._http.post("/events", json={"kind": "motion", "camera_id": "alarmed"})
                    if raised.status_code == 202:
                        self.events_ns.append(at_ns)
            self._look_at_memory()

    def _look_at_memory(self) -> None:
        for process in self._system.asked().values():
            if process.role == "media" and process.pid:
                with suppress(OSError):
                    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
                    self.media_rss_bytes = max(self.media_rss_bytes, pages * os.sysconf("SC_PAGE_SIZE"))


def segments(http: httpx.Client, name: str) -> list[dict[str, Any]]:
    answer = http.get(f"/cameras/{name}/recordings")
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["segments"]
    return found


def span(tree: dict[str, Any]) -> tuple[int, int]:
    return parse_rfc3339(tree["start"]), parse_rfc3339(tree["end"]) if tree["end"] else 1 << 62


@contextmanager
def frozen(disk: Ext4Disk) -> Iterator[None]:
    disk.freeze()
    try:
        yield
    finally:
        disk.thaw()


@contextmanager
def full(disk: Ext4Disk) -> Iterator[None]:
    ballast = disk.at / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def pulled(disk: Ext4Disk) -> Iterator[None]:
    disk.pull()
    try:
        yield
    finally:
        disk.mount()


TROUBLES = (frozen, full, pulled)


def test_nothing_that_was_said_to_be_recorded_is_lost(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    key = tmp_path / "volume.key"
    subprocess.run([sys.executable, "-m", "vms", "volume-key", "new", str(key)], check=True)
    urls = virtual_camera("--pattern", "--bitrate", "1000000", count=len(CAMERAS))
    with ext4(tmp_path, "troubled", size_bytes=400 << 20) as disk:
        volumes = [
            {"path": str(path), "quota": quota, "free_floor": "1MiB", "encryption": {"key_file": str(key)}}
            for path, quota in ((disk.at / "volume", "1GiB"), (tmp_path / "other", "150MiB"))
        ]
        keep = {"limits": {"minimum": "1d"}}  # a full disk makes nothing go
        events = {"kinds": ["motion"], "pre_roll": f"{PRE_S}s", "post_roll": f"{POST_S}s"}
        cameras = [
            camera("always", urls[0], **keep),
            camera("alarmed", urls[1], record="events", events=events, **keep),
        ]
        roles = {"media": 1, "stream": 1, "api": 1}
        system = serve(cameras, roles=roles, storage={"volumes": volumes, "segment": "5s"})
        system.wait_live("always")
        system.wait_recorded("always", 8)
        with Witness(system) as witness:
            for trouble in chance.sample(TROUBLES * (ROUNDS // len(TROUBLES) + 1), ROUNDS):
                victims = chance.sample(["media-0", "keeper-0", "keeper-1", "nats"], 2)
                print(f"{trouble.__name__}, killed: {victims}")
                with trouble(disk):
                    for victim in victims:
                        time.sleep(chance.uniform(0.5, TROUBLE_S))
                        with suppress(KeyError, ProcessLookupError):
                            os.kill(system.asked()[victim].pid, signal.SIGKILL)
                    time.sleep(TROUBLE_S)
                time.sleep(chance.uniform(1, 5))
        system.wait_running()
        judge(system, witness)
        config = str(system.config)
        assert system.stop() == 0
        for volume in volumes:
            assert list(Path(str(volume["path"])).rglob("*.mp4")), "the trouble was with what was used"
        verify = [sys.executable, "-m", "vms", "verify", "--config", config, "--json", str(tmp_path)]
        verified = subprocess.run(verify, capture_output=True, text=True, timeout=300, check=False)
        files = json.loads(verified.stdout)["files"]
        others = [each for each in files if each["verdict"] != "verified"]
        assert others == [], "what a crash left open is completed and signed"
        assert verified.returncode == 0, verified.stderr


def judge(system: System, witness: Witness) -> None:
    def all_back() -> bool:
        return all(
            witness.reported[name].keys() <= {each["id"] for each in segments(system.http, name)}
            for name in CAMERAS
        )

    with suppress(pytest.fail.Exception):
        wait_for("every recording to be found again", all_back)
    for name in CAMERAS:
        now = {each["id"]: span(each) for each in segments(system.http, name)}
        for segment_id, (start_ns, end_ns) in witness.reported[name].items():
            assert segment_id in now, f"{name}: {segment_id} of {start_ns} is gone"
            assert now[segment_id][0] <= start_ns, name
            assert now[segment_id][1] >= end_ns, f"{name}: {segment_id} became shorter"
    judge_holes(system)
    judge_events(system, witness)
    print(f"media RSS at most {witness.media_rss_bytes >> 20} MiB, events {len(witness.events_ns)}")
    assert 0 < witness.media_rss_bytes < MEDIA_RSS_BYTES


def judge_holes(system: System) -> None:
    """What is missing is said to be."""
    told = system.recordings("always")
    spans = sorted(span(each) for each in told["spans"])
    gaps = sorted(span(each) for each in told["gaps"])
    holes = [(one[1], other[0]) for one, other in pairwise(spans) if other[0] - one[1] > TOLERANCE_NS]
    print("holes, s:", [round((end - start) / NS, 2) for start, end in holes])
    for start_ns, end_ns in holes:
        assert any(gap[0] <= start_ns + TOLERANCE_NS and gap[1] >= end_ns - TOLERANCE_NS for gap in gaps), (
            f"{(start_ns, end_ns)} is missing and nothing says so: {json.dumps(told['gaps'])}"
        )


def judge_events(system: System, witness: Witness) -> None:
    """What an event wanted is recorded, or a gap says why not, and not that there was no event."""
    assert witness.events_ns
    with suppress(pytest.fail.Exception):  # the last of it may be recorded still
        wait_for("what the events wanted", lambda: not unrecorded_events(system, witness))
    missing = unrecorded_events(system, witness)
    assert missing == [], json.dumps(system.recordings("alarmed"))


def unrecorded_events(system: System, witness: Witness) -> list[int]:
    """When there were events of which something is missing and nothing says why."""
    told = system.recordings("alarmed")
    known = [span(each) for each in told["spans"]]
    known += [
        span(each)
        for each in told["gaps"]
        if each["reason"] != "no_event" or "started anew" in (each.get("detail") or "")
    ]
    missing = []
    for at_ns in witness.events_ns:
        reached_ns, end_ns = at_ns, at_ns + round((POST_S - 0.5) * NS)
        for start_ns, until_ns in sorted(known):
            if start_ns <= reached_ns + TOLERANCE_NS:
                reached_ns = max(reached_ns, until_ns)
        if reached_ns < end_ns:
            missing.append(at_ns)
    return missing
