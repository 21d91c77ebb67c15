import asyncio
import json as json_module
import logging

import pytest

from vms.telemetry import metrics
from vms.telemetry.logs import configure_logs, get_logger, redact
from vms.telemetry.loop_lag import LoopLag
from vms.telemetry.metrics import MetricFamily, MetricKind, ProcessMetrics, prometheus_text, read
from vms.telemetry.process import ProcessUsage


class Source:
    def metrics(self) -> list[MetricFamily]:
        return [
            MetricFamily("vms_things", MetricKind.COUNTER, "things seen", ("camera",), [(("a",), 3.0)]),
            MetricFamily("vms_level_bytes", MetricKind.GAUGE, "a level", (), [((), 7.0)]),
        ]


def test_metrics_of_all_processes_are_read_together_and_say_whose_they_are() -> None:
    text = prometheus_text(
        [read("media", "media-0", [Source()]), read("media", "media-1", [Source()])]
    ).decode()
    assert 'vms_things_total{camera="a",role="media",worker="media-0"} 3.0' in text
    assert 'vms_things_total{camera="a",role="media",worker="media-1"} 3.0' in text
    assert text.count("# TYPE vms_level_bytes gauge") == 1


def test_a_family_with_too_many_samples_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_SAMPLES", 10)
    samples = [((str(number),), 1.0) for number in range(15)]
    family = MetricFamily("vms_many", MetricKind.GAUGE, "many", ("name",), samples)
    text = prometheus_text([ProcessMetrics("api", "api-0", [family])]).decode()
    assert text.count("vms_many{") == 10
    assert 'vms_metrics_samples_left_out{role="api",worker="api-0"} 5.0' in text


def test_a_process_knows_what_it_costs() -> None:
    usage = ProcessUsage()
    values = {family.name: family.samples[0][1] for family in usage.metrics()}
    assert values["vms_process_cpu_seconds"] > 0
    assert values["vms_process_resident_bytes"] > 1 << 20
    assert values["vms_process_open_files"] >= 3
    assert usage.cpu_share() >= 0


def test_every_line_says_which_process_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs(json=True, role="media", worker="media-0")
        get_logger("test").info("hello", camera="porch")
        logging.getLogger("library").warning("hello too")
        written = [json_module.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        root.handlers, root.level = before
    assert [(line["role"], line["worker"]) for line in written] == [("media", "media-0")] * 2
    assert written[0]["camera"] == "porch"


@pytest.mark.parametrize("json", [True, False])
def test_no_log_line_carries_credentials(json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs(json=json)
        log = get_logger("test")
        log.info("asked rtsp://me:hunter2@192.0.2.1/x", url="rtsp://me:hunter2@192.0.2.1/x")
        logging.getLogger("library").warning("failed: %s", "rtsp://me:hunter2@192.0.2.1/x")
        try:
            raise ValueError("rtsp://me:hunter2@192.0.2.1/x")
        except ValueError:
            log.exception("broke")
        written = capsys.readouterr().err
    finally:
        root.handlers, root.level = before
    assert written.count("192.0.2.1") >= 4
    assert "hunter2" not in written


def test_a_password_with_an_unquoted_at_sign_is_redacted_too() -> None:
    assert redact("asked 'rtsp://me:p@ss@host/x'") == "asked 'rtsp://***@host/x'"


def test_redact_leaves_other_text_alone() -> None:
    assert redact("rtsp://h/a@b and me@example") == "rtsp://h/a@b and me@example"


async def test_loop_lag_is_measured() -> None:
    lag = LoopLag()
    await lag.start()
    await asyncio.sleep(0.2)
    await lag.stop()
    assert 0 <= lag.quantile_s(0.5) <= lag.quantile_s(1.0)
    assert [family.name for family in lag.metrics()] == ["vms_event_loop_lag_seconds"]
