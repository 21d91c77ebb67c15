"""The real system in a process of its own, and real cameras to point it at."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.system import Process, System

GST_SERVER = Path(__file__).parents[1] / "fixtures" / "gst_rtsp_server.py"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Start the system: ``serve(cameras, **sections)``; stopped after the test."""
    running: list[System] = []

    def start(cameras: list[dict[str, Any]], data_dir: Path | None = None, **sections: Any) -> System:
        running.append(System(data_dir or tmp_path / "data", cameras, **sections))
        return running[-1]

    yield start
    for system in running:
        system.stop()


@pytest.fixture
def virtual_camera() -> Iterator[Callable[..., list[str]]]:
    """Start `vms camera` with the given arguments; gives the cameras' URLs."""
    running: list[Process] = []

    def start(*arguments: str, count: int = 1) -> list[str]:
        command = [sys.executable, "-m", "vms", "camera", *arguments, "--count", str(count)]
        if "--port" not in arguments:
            command += ["--port", "0"]
        running.append(Process(*command))
        return running[-1].find(r"rtsp://\S+", count)

    yield start
    for process in running:
        process.stop()


@pytest.fixture
def gst_camera() -> Iterator[Callable[..., str]]:
    """Start GStreamer's RTSP server with a launch line; gives its URL."""
    running: list[Process] = []

    def start(launch: str, *arguments: str) -> str:
        running.append(Process("/usr/bin/python3", str(GST_SERVER), launch, *arguments))
        return running[-1].find(r"rtsp://\S+")[0]

    yield start
    for process in running:
        process.stop()
