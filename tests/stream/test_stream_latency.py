"""How old pictures are: what a stream process measures of every picture that it sends."""

from collections.abc import Awaitable, Callable

import pytest
from tests.stream.scripted_stream import Camera, Watcher

from vms.common.clock import NS, ManualClock
from vms.media import AccessUnit
from vms.stream import StreamService
from vms.stream.latency import LATENCY_METRIC, StreamLatencies


@pytest.fixture
def unit() -> AccessUnit:
    return Camera().push()


def test_a_picture_is_as_old_as_it_was_when_it_came_and_not_when_it_is_looked_at(unit: AccessUnit) -> None:
    clock = ManualClock(1_000 * NS, 50 * NS)
    latencies = StreamLatencies(clock)
    latencies.arrived(unit._replace(capture_ns=999_900_000_000, arrival_ns=49_990_000_000))
    assert latencies.camera_to_server.total == pytest.approx(0.09)
    latencies.sent(2_000_000)
    assert latencies.inside.total == pytest.approx(0.002)


def test_a_camera_whose_clock_is_ahead_is_counted_and_in_no_histogram(unit: AccessUnit) -> None:
    clock = ManualClock(1_000 * NS, 50 * NS)
    latencies = StreamLatencies(clock)
    latencies.arrived(unit._replace(capture_ns=1_001 * NS, arrival_ns=50 * NS))
    assert latencies.camera_to_server.count == 0
    assert latencies.before_capture == 1


def test_both_stages_are_told_as_one_histogram(unit: AccessUnit) -> None:
    latencies = StreamLatencies(ManualClock())
    latencies.sent(3_000_000)
    histogram, offsets = latencies.metrics()
    assert histogram.name == LATENCY_METRIC
    values = dict(histogram.samples)
    assert values["inside", "0.0025"] == 0
    assert values["inside", "0.005"] == 1
    assert values["camera_to_server", "+Inf"] == 0
    assert offsets.samples == [((), 0.0)]


async def test_the_service_measures_every_picture_that_viewers_get(
    camera: Camera, serve: Callable[..., Awaitable[StreamService]], watch: Callable[..., Awaitable[Watcher]]
) -> None:
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    for _ in range(10):
        camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 11)
    (family,) = [each for each in service.metrics() if each.name == LATENCY_METRIC]
    values = dict(family.samples)
    assert values["inside", "+Inf"] == 10
    offsets = sum(
        each.samples[0][1] for each in service.metrics() if each.name == "vms_latency_clock_offsets"
    )
    assert values["camera_to_server", "+Inf"] + offsets == 10
