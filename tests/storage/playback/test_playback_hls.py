import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.e2e.players import decoded, probe
from tests.storage.playback.shelf import (
    NOON_NS,
    PORCH,
    Shelf,
    demux,
    make_movie,
    moved,
    packets,
    with_other_parameter_sets,
    with_telephone_sound,
)

from vms.common.clock import NS, parse_rfc3339
from vms.common.errors import NotFound, Unavailable
from vms.media import AccessUnit, Gap, GapReason, MediaKind
from vms.storage.errors import SegmentUnreadable
from vms.storage.playback import NothingRecorded, Playback, RangeInvalid, RangeTooLong


@dataclass
class Part:
    """One EXTINF of a playlist."""

    url: str
    offset: int
    size: int
    seconds: float
    at_ns: int
    map_url: str
    discontinuity: bool


@dataclass
class Playlist:
    tags: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)


def parse(text: str) -> Playlist:
    """Reads what RFC 8216bis says; fails on a tag that it does not know."""
    playlist, now = Playlist(), {"discontinuity": False}
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    assert lines[-1] == "#EXT-X-ENDLIST"
    for line in lines[1:-1]:
        tag, _, value = line.partition(":")
        if tag == "#EXTINF":
            now["seconds"] = float(value.rstrip(","))
        elif tag == "#EXT-X-BYTERANGE":
            now["size"], now["offset"] = map(int, value.split("@"))
        elif tag == "#EXT-X-PROGRAM-DATE-TIME":
            now["at_ns"] = parse_rfc3339(value)
        elif tag == "#EXT-X-MAP":
            now["map_url"] = re.fullmatch(r'URI="([^"]+)"(?:,BYTERANGE="\d+@\d+")?', value)[1]
        elif tag == "#EXT-X-DISCONTINUITY":
            now["discontinuity"] = True
        elif line.startswith("#"):
            playlist.tags[tag.removeprefix("#EXT-X-")] = value
        else:
            playlist.parts.append(Part(url=line, **now))
            now = {"discontinuity": False, "map_url": now["map_url"]}
    return playlist


async def play(playback: Playback, shelf: Shelf, start_s: float, end_s: float) -> tuple[Path, Playlist]:
    """The playlist of a range after noon, as a file beside the recordings, and parsed."""
    text = await playback.playlist(
        PORCH,
        NOON_NS + round(start_s * NS),
        NOON_NS + round(end_s * NS),
        segment_url=lambda segment_id: f"{segment_id}.mp4",
        init_url=lambda segment_id: f"{segment_id}.init.mp4",
    )
    await shelf.keep_silent_inits(playback, text)
    path = shelf.folder / "playback.m3u8"
    path.write_text(text)
    return path, parse(text)


def pictures(path: Path) -> list[str]:
    return decoded(path, "-allowed_extensions", "ALL")


def sound(path: Path) -> list[str]:
    return decoded(path, "-allowed_extensions", "ALL", stream="a:0")


def seconds_after_noon(part: Part) -> float:
    return (part.at_ns - NOON_NS) / NS


async def test_files_of_one_recording_play_as_one_bit_identical_to_the_source(shelf, playback, movie):
    shelf.record(demux(movie), file_s=4)
    path, playlist = await play(playback, shelf, -1, 60)
    assert pictures(path) == decoded(movie)
    assert sound(path) == decoded(movie, "-ignore_editlist", "1", stream="a:0")
    assert len({part.map_url for part in playlist.parts}) == 3
    assert not any(part.discontinuity for part in playlist.parts)
    streams = {stream["codec_type"]: stream for stream in probe(path)["streams"]}
    assert streams["video"]["codec_tag_string"] == "avc1"
    assert streams["audio"]["codec_tag_string"] == "mp4a"


async def test_real_footage_plays_bit_identical(shelf, playback, footage):
    shelf.record(demux(footage["vtest"]), file_s=20)
    path, _ = await play(playback, shelf, -1, 600)
    assert pictures(path) == decoded(footage["vtest"])


async def test_h265_plays_bit_identical_and_as_safari_wants_it(shelf, playback, tmp_path):
    movie = make_movie(tmp_path / "hevc.mp4", seconds=6, b_frames=2, codec="libx265")
    shelf.record(demux(movie), file_s=3)
    path, playlist = await play(playback, shelf, 0, 60)
    assert pictures(path) == decoded(movie)
    assert len({part.map_url for part in playlist.parts}) == 2
    assert not any(part.discontinuity for part in playlist.parts)
    assert probe(path)["streams"][0]["codec_tag_string"] == "hvc1"


async def test_a_playlist_says_what_players_need(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie))
    _, playlist = await play(playback, shelf, 0, 60)
    assert playlist.tags == {
        "VERSION": "7",
        "PLAYLIST-TYPE": "VOD",
        "TARGETDURATION": "4",
        "MEDIA-SEQUENCE": "0",
        "INDEPENDENT-SEGMENTS": "",
    }
    assert [part.seconds for part in playlist.parts] == pytest.approx([4, 4, 4])
    assert [seconds_after_noon(part) for part in playlist.parts] == pytest.approx([0, 4, 8])


async def test_byte_ranges_follow_each_other_without_a_hole(shelf, playback, movie):
    shelf.record(demux(movie))
    _, playlist = await play(playback, shelf, 0, 60)
    for left, right in zip(playlist.parts, playlist.parts[1:], strict=False):
        assert left.offset + left.size == right.offset


async def test_playback_begins_with_the_key_picture_at_or_before_the_start(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie), file_s=5)
    path, playlist = await play(playback, shelf, 6.7, 8.05)
    assert seconds_after_noon(playlist.parts[0]) == pytest.approx(6)
    assert pictures(path)[0] == decoded(plain_movie)[60]
    assert len(pictures(path)) == 25  # up to the end of the fragment of half a second that holds the end


async def test_a_camera_with_few_key_pictures_gets_longer_segments(shelf, playback, tmp_path):
    shelf.record(demux(make_movie(tmp_path / "rare.mp4", seconds=22, fps=5, gop=48)))
    _, playlist = await play(playback, shelf, 0, 600)
    assert [part.seconds for part in playlist.parts] == pytest.approx([9.6, 9.6, 2.8])
    assert playlist.tags["TARGETDURATION"] == "10"


async def test_the_open_recording_plays_up_to_its_last_whole_fragment(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie), file_s=5, close=False)
    path, _ = await play(playback, shelf, 0, 60)
    shown = pictures(path)
    assert shown == decoded(plain_movie)[: len(shown)]
    assert len(shown) == 115  # the last half second is still in memory


async def test_a_gap_is_a_discontinuity(shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=30))
    path, playlist = await play(playback, shelf, 0, 60)
    assert [seconds_after_noon(part) for part in playlist.parts if part.discontinuity] == [30]
    # By packets: ffmpeg drops what it decodes of the first fragment after a step back of the timeline
    assert packets(path) == packets(plain_movie) * 2


async def test_a_timeline_that_starts_over_is_a_discontinuity_though_no_time_is_missing(
    shelf, playback, plain_movie
):
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=12))
    _, playlist = await play(playback, shelf, 0, 60)
    assert [seconds_after_noon(part) for part in playlist.parts if part.discontinuity] == [12]


async def test_other_parameter_sets_are_a_discontinuity(shelf, playback, plain_movie, movie):
    units = demux(plain_movie)
    shelf.record(units)
    other = demux(movie)[0].track.parameter_sets
    changed = with_other_parameter_sets(moved(units, wall_s=12, timeline_s=12), other)
    shelf.record(changed)
    _, playlist = await play(playback, shelf, 0, 60)
    assert [seconds_after_noon(part) for part in playlist.parts if part.discontinuity] == [12]


async def test_a_recorded_gap_between_files_that_touch_is_a_discontinuity(shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record(units, file_s=6)
    shelf.recorded_gaps.append(Gap(NOON_NS + 6 * NS - 10**7, NOON_NS + 6 * NS, GapReason.OVERRUN))
    _, playlist = await play(playback, shelf, 0, 60)
    assert [seconds_after_noon(part) for part in playlist.parts if part.discontinuity] == [6]


def without(units: list[AccessUnit], from_s: float, to_s: float) -> list[AccessUnit]:
    """Units as after a loss of packets."""
    kept = [unit for unit in units if not from_s * NS <= unit.capture_ns - NOON_NS < to_s * NS]
    after = next(i for i, unit in enumerate(kept) if unit.capture_ns - NOON_NS >= to_s * NS)
    kept[after] = kept[after]._replace(discontinuity=True)
    return kept


async def test_pictures_lost_up_to_a_key_picture_are_a_discontinuity_in_one_file(
    shelf, playback, plain_movie
):
    shelf.record(without(demux(plain_movie), 5.3, 6))
    shelf.recorded_gaps.append(Gap(NOON_NS + 5 * NS + 2 * NS // 10, NOON_NS + 6 * NS, GapReason.PACKET_LOSS))
    path, playlist = await play(playback, shelf, 0, 60)
    assert [seconds_after_noon(part) for part in playlist.parts if part.discontinuity] == [6]
    source = decoded(plain_movie)
    assert pictures(path) == source[:53] + source[60:]


async def test_one_lost_picture_does_not_hide_those_after_it(shelf, playback, plain_movie):
    shelf.record(without(demux(plain_movie), 5.3, 5.4))
    shelf.recorded_gaps.append(
        Gap(NOON_NS + 5 * NS + 2 * NS // 10, NOON_NS + 5 * NS + 4 * NS // 10, GapReason.PACKET_LOSS)
    )
    _, playlist = await play(playback, shelf, 0, 60)
    assert [seconds_after_noon(part) for part in playlist.parts if part.discontinuity] == [6]
    assert sum(part.seconds for part in playlist.parts) == pytest.approx(12)


async def test_two_recordings_of_the_same_time_are_shown_once(shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record([unit for unit in units if unit.capture_ns < NOON_NS + 7.3 * NS])
    shelf.record(moved([unit for unit in units if unit.capture_ns >= NOON_NS + 4 * NS], timeline_s=20))
    shelf.record([unit for unit in units if NOON_NS + 2 * NS <= unit.capture_ns < NOON_NS + 5 * NS])
    path, playlist = await play(playback, shelf, 0, 60)
    assert pictures(path) == decoded(plain_movie)
    assert [seconds_after_noon(part) for part in playlist.parts if part.discontinuity] == [7]


async def test_sound_without_pictures_plays(shelf, playback, movie):
    shelf.record([unit for unit in demux(movie) if unit.track.kind is MediaKind.AUDIO])
    path, playlist = await play(playback, shelf, 0, 60)
    assert sound(path) == decoded(movie, "-ignore_editlist", "1", stream="a:0")
    assert max(part.seconds for part in playlist.parts) < 7


async def test_nothing_recorded_says_what_is_near(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie))
    with pytest.raises(NothingRecorded, match=r"the recording before it ends at 2026-11-23T12:00:12.000Z"):
        await play(playback, shelf, 100, 200)
    with pytest.raises(NothingRecorded, match=r"the next one begins at 2026-11-23T12:00:00.000Z"):
        await play(playback, shelf, -5000, -4000)
    shelf.files.clear()
    with pytest.raises(NothingRecorded, match="has no recordings"):
        await play(playback, shelf, 0, 10)


async def test_a_file_that_cannot_be_read_does_not_hide_the_others(shelf, playback, plain_movie):
    segments = shelf.record(demux(plain_movie), file_s=4)
    segments[1].path.write_bytes(bytes(1000))
    _, playlist = await play(playback, shelf, 0, 60)
    assert [seconds_after_noon(part) for part in playlist.parts] == pytest.approx([0, 8])
    assert playlist.parts[1].discontinuity
    for segment in segments:
        segment.path.write_bytes(bytes(1000))
    with pytest.raises(SegmentUnreadable, match=str(segments[2].id)):
        await play(playback, shelf, 0, 60)


async def test_a_range_that_cannot_be_is_refused(shelf, playback):
    with pytest.raises(RangeInvalid):
        await play(playback, shelf, 10, 10)
    with pytest.raises(RangeTooLong, match=r"in parts, the first up to 2026-11-24T12:00:00"):
        await play(playback, shelf, 0, 7 * 86400)


async def test_g711_sound_is_hidden_from_players_and_the_pictures_stay(shelf, playback, plain_movie):
    (segment,) = shelf.record(with_telephone_sound(demux(plain_movie)))
    path, playlist = await play(playback, shelf, 0, 60)
    init = (shelf.folder / f"{segment.id}.init.mp4").read_bytes()
    assert b"soun" not in init
    assert b"soun" in segment.path.read_bytes()
    assert {part.map_url for part in playlist.parts} == {f"{segment.id}.init.mp4"}
    assert {part.url for part in playlist.parts} == {f"{segment.id}.mp4"}
    assert pictures(path) == decoded(plain_movie)


async def test_sound_that_not_all_files_have_is_hidden_in_all(shelf, playback, sounding_movie):
    units = demux(sounding_movie)
    shelf.record(units)
    path, _ = await play(playback, shelf, 0, 60)
    assert ".init.mp4" not in path.read_text()
    shown = [unit for unit in units if unit.track.kind is MediaKind.VIDEO]
    broken = [u for u in units if u in shown or not 2 < (u.capture_ns - NOON_NS) / NS < 5]
    for other in (shown, broken):
        (segment,) = shelf.record(moved(other, wall_s=8, timeline_s=8))
        path, playlist = await play(playback, shelf, 0, 60)
        hidden = {part.map_url for part in playlist.parts}
        assert len([url for url in hidden if url.endswith(".init.mp4")]) == (2 if other is broken else 1)
        assert pictures(path) == 2 * decoded(sounding_movie)
        shelf.delete(segment.id)


async def test_an_init_segment_of_another_camera_is_not_found(shelf, playback, plain_movie):
    (segment,) = shelf.record(demux(plain_movie))
    with pytest.raises(NotFound):
        await playback.init_segment("gate", segment.id)
    segment.path.write_bytes(bytes(1000))
    with pytest.raises(Unavailable):
        await playback.init_segment(PORCH, segment.id)
