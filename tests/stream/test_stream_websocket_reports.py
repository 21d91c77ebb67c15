"""What viewers measured, as part of the latency metrics."""

from vms.common.ids import CameraId
from vms.stream.websocket.reports import MOST_S, ViewerStages
from vms.telemetry.metrics import prometheus_text, read


def test_known_stages_are_counted_and_words_of_a_viewer_s_own_make_no_series() -> None:
    stages = ViewerStages()
    stages.add(CameraId("porch"), {"network": 0.004, "total": 0.12, "dancing": 1.0})
    stages.add(CameraId("yard"), {"network": 0.006, "total": MOST_S + 1})
    text = prometheus_text([read("stream", "stream-0", [stages])]).decode()
    counts = [line for line in text.splitlines() if line.startswith("vms_latency_seconds_count")]
    found = {line.split('stage="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in counts}
    assert found == {"server_to_browser": 2, "in_browser": 0, "camera_to_screen": 1}
