"""Main and sub streams of one camera through all processes, and wishes for key pictures on their way back."""

import json
import subprocess
from collections.abc import Callable

import pytest
from tests.e2e.system import System, wait_for

pytestmark = pytest.mark.e2e


def width_of(url: str) -> int:
    """What a player that we did not write says of the pictures at a URL."""
    command = ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-analyzeduration", "100000"]
    command += ["-print_format", "json", "-show_streams", url]
    probed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return int(json.loads(probed.stdout)["streams"][0]["width"])


def test_both_streams_come_through_all_processes_and_a_broken_sub_costs_main_nothing(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern", "--sub")
    broken = {"id": "gate", "name": "Gate", "source": url, "sub_source": url.replace("camera-1", "camera-9")}
    porch = {"id": "porch", "name": "Porch", "source": url, "sub_source": f"{url}/sub"}
    system = serve([{**porch, "record": "off"}, {**broken, "record": "off"}])

    def camera(name: str) -> dict[str, object]:
        document: dict[str, object] = system.http.get(f"/cameras/{name}").json()
        return document

    wait_for("both live", lambda: all(camera(name)["state"] == "live" for name in ("porch", "gate")))
    assert system.metrics("vms_camera_sub_pulled", camera="porch")[0].value == 0
    assert width_of(f"{system.rtsp_url}/porch/sub") == 640
    assert system.metrics("vms_camera_sub_pulled", camera="porch")[0].value == 1, "it lingers"
    assert width_of(f"{system.rtsp_url}/porch/main") == 1280
    with pytest.raises(subprocess.CalledProcessError):
        width_of(f"{system.rtsp_url}/gate/sub")
    assert width_of(f"{system.rtsp_url}/gate") == 1280
    assert camera("gate")["state"] == "live"
    wait_for("its size told", lambda: camera("porch")["sub"]["width"] == 640)  # type: ignore[index]
