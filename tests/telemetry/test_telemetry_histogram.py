"""Histograms: what they count, and how Prometheus reads it."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from vms.app.convert import metrics_message, process_metrics
from vms.telemetry import metrics
from vms.telemetry.histogram import Histogram, as_samples
from vms.telemetry.metrics import MetricFamily, MetricKind, ProcessMetrics, prometheus_text


def latency(*observed: float) -> Histogram:
    histogram = Histogram((0.01, 0.1, 1.0))
    for value in observed:
        histogram.observe(value)
    return histogram


def family(**histograms: Histogram) -> MetricFamily:
    samples = as_samples([((stage,), each) for stage, each in histograms.items()])
    return MetricFamily("vms_wait_seconds", MetricKind.HISTOGRAM, "waits", ("stage", "le"), samples)


def read(text: bytes) -> dict[tuple[str, str, str | None], float]:
    """Values by name, stage and bound."""
    return {
        (sample.name, sample.labels["stage"], sample.labels.get("le")): sample.value
        for each in text_string_to_metric_families(text.decode())
        if each.name == "vms_wait_seconds"
        for sample in each.samples
    }


def test_an_observation_counts_in_every_bucket_whose_bound_it_does_not_exceed() -> None:
    histogram = latency(0.005, 0.01, 0.011, 5.0)
    assert histogram.counts == [2, 1, 0, 1]
    assert histogram.count == 4
    values = {labels[-1]: value for labels, value in histogram.samples()}
    assert values == {"0.01": 2, "0.1": 3, "1.0": 3, "+Inf": 4, "sum": pytest.approx(5.026)}


def test_prometheus_reads_buckets_count_and_sum_of_each_stage() -> None:
    described = family(inside=latency(0.005, 0.05), screen=latency(2.0))
    found = read(prometheus_text([ProcessMetrics("stream", "stream-0", [described])]))
    assert found["vms_wait_seconds_bucket", "inside", "0.01"] == 1
    assert found["vms_wait_seconds_bucket", "inside", "+Inf"] == 2
    assert found["vms_wait_seconds_count", "inside", None] == 2
    assert found["vms_wait_seconds_sum", "inside", None] == pytest.approx(0.055)
    assert found["vms_wait_seconds_bucket", "screen", "1.0"] == 0
    assert found["vms_wait_seconds_count", "screen", None] == 1


def test_histograms_come_unchanged_from_another_process() -> None:
    sent = ProcessMetrics("stream", "stream-1", [family(inside=latency(0.005, 3.0))])
    received = process_metrics(metrics_message(sent))
    assert prometheus_text([received]) == prometheus_text([sent])


def test_a_histogram_that_does_not_fit_whole_is_left_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_SAMPLES", 7)
    described = family(inside=latency(0.005), screen=latency(0.5))
    found = read(prometheus_text([ProcessMetrics("stream", "stream-0", [described])]))
    assert {stage for _, stage, _ in found} == {"inside"}


def test_histograms_of_the_same_bounds_add_up_and_others_are_refused() -> None:
    histogram = latency(0.005)
    histogram.merge(latency(0.5, 0.5))
    assert histogram.counts == [1, 0, 2, 0]
    with pytest.raises(ValueError, match="bounds"):
        histogram.merge(Histogram((1.0,)))
