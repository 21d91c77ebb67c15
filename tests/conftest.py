"""Fixtures and markers for every test."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from vms.wire.srt import SrtUnavailable
from vms.wire.srt.library import load

# A machine that does other things too is no fault of what is tested: no example has to be quick.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

FOOTAGE = Path(__file__).resolve().parents[2] / "shared" / "data"


@cache
def _has(tool: str) -> bool:
    if tool == "gst-rtsp-server":
        check = (
            'import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer'
        )
        return (
            subprocess.run(["/usr/bin/python3", "-c", check], capture_output=True, check=False).returncode
            == 0
        )
    if tool == "libsrt":
        return _loads_libsrt()
    return shutil.which(tool) is not None


def _loads_libsrt() -> bool:
    try:
        load()
    except SrtUnavailable:
        return False
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("needs"):
            missing = [tool for tool in marker.args if not _has(tool)]
            if missing:
                item.add_marker(
                    pytest.mark.skip(
                        reason=f"{', '.join(missing)} is not installed; see scripts/setup-dev.sh"
                    )
                )


@pytest.fixture(scope="session")
def footage() -> dict[str, Path]:
    """Real footage by name: ``vtest`` (H.264 with B-frames) and ``people`` (H.264)."""
    files = {"vtest": FOOTAGE / "vtest_h264.mp4", "people": FOOTAGE / "one-by-one-person-detection.mp4"}
    if not all(path.is_file() for path in files.values()):
        pytest.skip(f"no footage in {FOOTAGE}")
    return files
