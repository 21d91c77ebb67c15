"""Names of recordings and times of cuts."""

from hypothesis import given
from hypothesis import strategies as st

from vms.common.clock import NS, parse_rfc3339
from vms.storage.layout import (
    cut_after_ns,
    day_start_ns,
    is_camera_directory,
    is_day_directory,
    is_recording_file,
    recording_name,
)

START_NS = parse_rfc3339("2026-11-23T14:05:00Z")
CAMERAS = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
TIMES = st.integers(0, 1 << 62)


def test_a_recording_is_named_so_that_a_person_finds_it() -> None:
    assert recording_name("porch", START_NS, "main") == "porch/2026-11-23/14-05-00.000Z-main.mp4"


def test_a_clash_of_names_gets_a_suffix() -> None:
    assert recording_name("porch", START_NS, "main", 2) == "porch/2026-11-23/14-05-00.000Z-main-2.mp4"


@given(CAMERAS, TIMES, st.integers(1, 30))
def test_names_that_are_given_are_recognised(camera: str, start_ns: int, copy: int) -> None:
    directory, day, file = recording_name(camera, start_ns, "main", copy).split("/")
    assert is_camera_directory(directory)
    assert is_day_directory(day)
    assert is_recording_file(file)
    begins_ns = day_start_ns(day)
    assert begins_ns is not None
    assert begins_ns <= start_ns < begins_ns + 86400 * NS


def test_foreign_names_are_not_recognised() -> None:
    assert not is_recording_file("holiday.mp4")
    assert not is_recording_file("14-05-00.000Z-main.mp4.unreadable")
    assert not is_day_directory("lost+found")
    assert not is_camera_directory("vms-volume.json")
    assert day_start_ns("2026-13-45") is None


@given(CAMERAS, TIMES, st.integers(2, 3600))
def test_a_cut_comes_within_one_segment_length(camera: str, start_ns: int, segment_s: int) -> None:
    cut_ns = cut_after_ns(camera, start_ns, segment_s * NS)
    assert start_ns < cut_ns <= start_ns + segment_s * NS


@given(CAMERAS, TIMES)
def test_cuts_do_not_depend_on_when_recording_began(camera: str, start_ns: int) -> None:
    cut_ns = cut_after_ns(camera, start_ns, 300 * NS)
    assert cut_after_ns(camera, cut_ns - 1, 300 * NS) == cut_ns
    assert cut_after_ns(camera, cut_ns, 300 * NS) == cut_ns + 300 * NS


def test_cuts_are_spread_over_cameras() -> None:
    cuts = sorted(cut_after_ns(f"camera-{number}", START_NS, 300 * NS) for number in range(200))
    in_worst_10_s = max(sum(first <= cut < first + 10 * NS for cut in cuts) for first in cuts)
    assert in_worst_10_s < 20
