from pathlib import Path
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.storage.playback.shelf import PORCH

from vms.common.clock import NS
from vms.media import Codec, Gap, GapReason
from vms.storage.playback.timeline import TOUCH_NS, Span, build_timeline
from vms.storage.segment import Segment


def file(start_s: float, end_s: float) -> Segment:
    start_ns, end_ns = round(start_s * NS), round(end_s * NS)
    number = UUID(int=hash((start_ns, end_ns)) & (1 << 128) - 1)
    return Segment(number, PORCH, "main", Path("x"), start_ns, end_ns, 1, True, Codec.H264, None)


def gap(start_s: float, end_s: float | None, reason: GapReason = GapReason.CAMERA_LOST) -> Gap:
    return Gap(round(start_s * NS), None if end_s is None else round(end_s * NS), reason)


def spans_s(spans: list[Span]) -> list[tuple[float, float]]:
    return [(span.start_ns / NS, span.end_ns / NS) for span in spans]


def gaps_s(gaps: list[Gap]) -> list[tuple[float, float | None, str]]:
    return [(g.start_ns / NS, None if g.end_ns is None else g.end_ns / NS, g.reason.value) for g in gaps]


def build(files, gaps=(), start_s=0.0, end_s=1000.0, before=False, after=False):
    return build_timeline(
        files, gaps, round(start_s * NS), round(end_s * NS), recorded_before=before, recorded_after=after
    )


def test_files_that_touch_are_one_span():
    timeline = build([file(10, 20), file(20.3, 30), file(30, 40)])
    assert spans_s(timeline.spans) == [(10, 40)]
    assert timeline.gaps == []
    assert len(timeline.segments) == 3


def test_a_recorded_gap_parts_files_that_touch():
    timeline = build([file(10, 20), file(20.2, 30)], [gap(20, 20.2)])
    assert spans_s(timeline.spans) == [(10, 20), (20.2, 30)]
    assert gaps_s(timeline.gaps) == [(20, 20.2, "camera_lost")]


def test_lost_packets_do_not_part_a_recording_that_went_on():
    timeline = build([file(10, 20), file(20, 30)], [gap(15, 25, GapReason.PACKET_LOSS)])
    assert spans_s(timeline.spans) == [(10, 30)]
    assert gaps_s(timeline.gaps) == [(15, 25, "packet_loss")]


def test_a_hole_that_nobody_recorded_is_a_gap_of_unknown_reason():
    timeline = build([file(10, 20), file(50, 60)], [gap(20, 30)])
    assert gaps_s(timeline.gaps) == [(20, 30, "camera_lost"), (30, 50, "unknown")]


def test_overlapping_recordings_are_one_span():
    assert spans_s(build([file(10, 40), file(20, 30), file(35, 60)]).spans) == [(10, 60)]


def test_everything_but_files_is_clipped_to_the_range():
    files = [file(0, 100), file(200, 300)]
    timeline = build(files, [gap(100, 200)], start_s=50, end_s=150)
    assert spans_s(timeline.spans) == [(50, 100)]
    assert gaps_s(timeline.gaps) == [(100, 150, "camera_lost")]
    assert timeline.segments == files


def test_a_gap_that_lasts_has_no_end():
    timeline = build([file(0, 100)], [gap(100, None)], end_s=500)
    assert gaps_s(timeline.gaps) == [(100, None, "camera_lost")]


def test_nothing_is_missing_before_the_first_and_after_the_last_recording():
    assert build([file(100, 200)]).gaps == []


def test_the_edges_of_a_range_are_missing_when_something_was_recorded_beyond_them():
    timeline = build([file(100, 200)], before=True, after=True)
    assert gaps_s(timeline.gaps) == [(0, 100, "unknown"), (200, 1000, "unknown")]
    assert gaps_s(build([], before=True, after=True).gaps) == [(0, 1000, "unknown")]
    assert build([], before=True).gaps == []


CELLS = 60
cells = st.integers(0, CELLS - 1)
stretches = st.lists(
    st.tuples(cells, st.integers(1, 15)).map(lambda at: (at[0], min(at[0] + at[1], CELLS))), max_size=12
)


@settings(deadline=None)  # the machine may be busy
@given(stretches, stretches, cells, cells)
def test_every_second_between_recordings_is_in_a_span_or_in_a_gap(files, gaps, one, other):
    start, end = min(one, other), max(one, other) + 1
    shown = [(a, b) for a, b in files if a < end and b > start]
    known = [(a, b) for a, b in gaps if a < end and b > start]
    timeline = build_timeline(
        [file(a, b) for a, b in shown],
        [gap(a, b) for a, b in known],
        start * NS,
        end * NS,
        recorded_before=any(b <= start for _, b in files),
        recorded_after=any(a >= end for a, _ in files),
    )
    first = min((a for a, _ in files), default=CELLS)
    last = max((b for _, b in files), default=0)
    for second in range(start, end):
        moment = second * NS + NS // 2
        in_span = any(span.start_ns <= moment < span.end_ns for span in timeline.spans)
        in_gap = any(g.start_ns <= moment < g.end_ns for g in timeline.gaps)
        assert in_span == any(a <= second < b for a, b in files)
        expected_gap = any(a <= second < b for a, b in gaps)
        assert in_gap == (expected_gap or (not in_span and first <= second < last))
    _assert_in_order(timeline.spans, start * NS, end * NS)
    assert [g.start_ns for g in timeline.gaps] == sorted(g.start_ns for g in timeline.gaps)
    assert all(start * NS <= g.start_ns and g.end_ns <= end * NS for g in timeline.gaps)


def _assert_in_order(spans: list[Span], start_ns: int, end_ns: int) -> None:
    edges = [edge for span in spans for edge in (span.start_ns, span.end_ns)]
    assert edges == sorted(edges)
    assert all(start_ns <= edge <= end_ns for edge in edges)
    assert all(span.start_ns < span.end_ns for span in spans)


def test_a_day_of_files_and_gaps_is_quick():
    import time

    files = [file(n * 300, n * 300 + 299) for n in range(8640)]
    gaps = [gap(n * 300 + 299, n * 300 + 300) for n in range(8640)]
    started_s = time.thread_time()
    timeline = build(files, gaps, end_s=8640 * 300)
    assert time.thread_time() - started_s < 1
    assert len(timeline.spans) == len(timeline.gaps) == 8640


def test_files_less_than_half_a_second_apart_touch():
    assert TOUCH_NS == NS // 2
    assert len(build([file(0, 10), file(10.5, 20)]).spans) == 1
    assert len(build([file(0, 10), file(10.6, 20)]).spans) == 2
