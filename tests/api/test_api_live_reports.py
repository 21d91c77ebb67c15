"""Reports of viewers: what they add to the metrics, and what is refused."""

import json
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.api.stand_ins import TOKEN, Backend

from vms.api.viewer_reports import BUCKETS, BURST, PER_SECOND, ReportLimit
from vms.common.clock import ManualClock
from vms.telemetry.metrics import MetricSource, prometheus_text, read

REPORT = "/api/v1/cameras/porch/live/report"
GOOD: dict[str, Any] = {
    "protocol": "webrtc",
    "frames": 250,
    "dropped": 2,
    "freezes": 1,
    "network_ms": 15.5,
    "camera_to_screen": {"counts": [0] * 5 + [10, 240] + [0] * 7, "sum_ms": 16_500.0},
    "in_browser": {"counts": [0] * 4 + [250] + [0] * 9, "sum_ms": 5_000.0},
}


def screen(**changes: Any) -> dict[str, Any]:
    return GOOD | {"camera_to_screen": GOOD["camera_to_screen"] | changes}


def sources_of(client: httpx.AsyncClient) -> list[MetricSource]:
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    return transport.app.state.metric_sources  # type: ignore[attr-defined,no-any-return]


def figures(client: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """What the process says, by name and the values of its labels."""
    text = prometheus_text([read("api", "api-0", sources_of(client))]).decode()
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name not in ("role", "worker"))): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_reports_of_viewers_add_up_by_stage_and_protocol(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        assert (await client.post(REPORT, json=GOOD)).status_code == 204
    hls = {"protocol": "hls", "frames": 30}
    assert (await client.post(REPORT, json=hls)).status_code == 204
    told = figures(client)
    assert told["vms_latency_seconds_count", "camera_to_screen"] == 500
    assert told["vms_latency_seconds_sum", "camera_to_screen"] == pytest.approx(33.0)
    assert told["vms_latency_seconds_count", "in_browser"] == 500
    assert told["vms_latency_seconds_count", "server_to_browser"] == 2
    assert told["vms_viewer_frames_shown_total", "webrtc"] == 500
    assert told["vms_viewer_frames_shown_total", "hls"] == 30
    assert told["vms_viewer_freezes_total", "webrtc"] == 2
    assert told["vms_viewer_frames_dropped_total", "webrtc"] == 4


@pytest.mark.parametrize(
    "report",
    [
        GOOD | {"protocol": "carrier pigeon"},
        GOOD | {"frames": -1},
        GOOD | {"frames": 1e300},
        GOOD | {"frames": "250"},
        GOOD | {"frames": True},
        GOOD | {"network_ms": -0.1},
        GOOD | {"network_ms": float("nan")},
        GOOD | {"network_ms": float("inf")},
        GOOD | {"more": "x"},
        {"protocol": "webrtc"},
        screen(counts=[1] * (BUCKETS + 1)),
        screen(counts=[]),
        screen(counts=[-1] + [0] * (BUCKETS - 1)),
        screen(counts=[10_000] * BUCKETS),
        screen(sum_ms=float("nan")),
        screen(sum_ms=float("-inf")),
        screen(sum_ms=-1),
        screen(sum_ms=1.0),
        screen(sum_ms=40_000.0),
        [],
        None,
    ],
    ids=repr,
)
async def test_a_report_that_cannot_be_true_is_refused_and_counts_nothing(
    client: httpx.AsyncClient, report: Any
) -> None:
    body = json.dumps(report)  # NaN and Infinity as Python writes them
    answer = await client.post(REPORT, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    told = figures(client)
    assert told["vms_latency_seconds_count", "camera_to_screen"] == 0
    assert told["vms_viewer_reports_total", "webrtc"] == 0


async def test_reports_of_unknown_cameras_and_without_the_token_are_refused(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    assert (await client.post(REPORT.replace("porch", "nowhere"), json=GOOD)).status_code == 404
    async with backend.client(token=TOKEN) as guarded:
        assert (await guarded.post(REPORT, json=GOOD)).status_code == 401


async def test_an_address_that_sends_too_many_reports_is_told_to_wait(client: httpx.AsyncClient) -> None:
    light = {"protocol": "webrtc", "frames": 1}
    statuses = [(await client.post(REPORT, json=light)).status_code for _ in range(BURST)]
    assert set(statuses) == {204}
    refused = await client.post(REPORT, json=light)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "10"
    told = figures(client)
    assert told["vms_viewer_reports_total", "webrtc"] == BURST
    assert told["vms_viewer_reports_refused_total",] == 1


def test_an_address_may_report_again_later_and_others_meanwhile() -> None:
    clock = ManualClock()
    limit = ReportLimit(clock)
    assert all(limit.take("192.0.2.1") for _ in range(BURST))
    assert not limit.take("192.0.2.1")
    assert limit.take("192.0.2.2")
    clock.advance(1.0)
    assert [limit.take("192.0.2.1") for _ in range(PER_SECOND + 1)] == [True] * PER_SECOND + [False]
