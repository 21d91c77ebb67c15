import asyncio
import logging

import pytest

from vms.telemetry.logs import configure_logs, get_logger, redact
from vms.telemetry.loop_lag import LoopLag
from vms.telemetry.metrics import MetricFamily, MetricKind, prometheus_text


class Source:
    def metrics(self) -> list[MetricFamily]:
        return [
            MetricFamily("vms_things", MetricKind.COUNTER, "things seen", ("camera",), [(("a",), 3.0)]),
            MetricFamily("vms_level_bytes", MetricKind.GAUGE, "a level", (), [((), 7.0)]),
        ]


def test_metrics_are_read_when_asked_for() -> None:
    text = prometheus_text([Source()]).decode()
    assert 'vms_things_total{camera="a"} 3.0' in text
    assert "# TYPE vms_level_bytes gauge" in text


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
