"""Players that we did not write show exactly what the encoder made, at every stage of a recording."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.format.format_material import (
    Recording,
    decoded_frames,
    digest,
    encoded_audio,
    encoded_video,
    ffmpeg_frames,
    footage_units,
    interleave,
    raw_packet_digests,
    read_at,
    record,
)

from vms.format.hybrid import SegmentFile, read_samples, read_segment
from vms.format.mp4.progressive import MovieRun, build_progressive_movie
from vms.media import AccessUnit, Codec

pytestmark = pytest.mark.needs("ffmpeg", "ffprobe")


def _span(segment: SegmentFile) -> tuple[int, int]:
    """Where its fragments lie."""
    return segment.fragments[0].offset, segment.fragments[-1].end


def _stages(recording: Recording, folder: Path) -> dict[str, Path]:
    """The recording as every kind of reader gets it."""
    data = recording.closed
    segment = read_segment(read_at(data), len(data))
    init = data[segment.init[0] : sum(segment.init)]
    fragments = b"".join(data[each.offset : each.end] for each in segment.fragments)
    movie = build_progressive_movie([MovieRun("it", read_samples(read_at(data), segment), *_span(segment))])
    export = movie.header + b"".join(data[e.offset : e.offset + e.size] for e in movie.extents)
    stages = {
        "open": recording.open,
        "unflipped": recording.with_tail,
        "closed": data,
        "ranges": init + fragments,
        "export": export,
    }
    paths = {}
    for name, content in stages.items():
        paths[name] = folder / f"{name}.mp4"
        paths[name].write_bytes(content)
    return paths


def _probe(path: Path) -> dict[str, dict[str, str]]:
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    assert output.stderr == ""
    return {each["codec_type"]: each for each in json.loads(output.stdout)["streams"]}


@pytest.mark.parametrize(
    "codec, b_frames, in_band, tag",
    [
        (Codec.H264, 0, False, "avc1"),
        (Codec.H264, 2, True, "avc3"),
        (Codec.H265, 2, False, "hvc1"),
        (Codec.H265, 0, True, "hev1"),
    ],
)
def test_pictures_are_bit_identical_at_every_stage(
    codec: Codec, b_frames: int, in_band: bool, tag: str, tmp_path: Path
) -> None:
    units = encoded_video(codec, 60, b_frames=b_frames, in_band=in_band)
    expected = [digest(frame) for frame in decoded_frames(units)]
    assert len(expected) == 60
    for name, path in _stages(record([units[0].track], units), tmp_path).items():
        assert ffmpeg_frames(path) == expected, name
        assert _probe(path)["video"]["codec_tag_string"] == tag


@pytest.mark.parametrize(
    "codec, tag",
    [(Codec.AAC, "mp4a"), (Codec.PCMU, "ulaw"), (Codec.PCMA, "alaw"), (Codec.OPUS, "Opus")],
)
def test_sound_is_stored_as_it_came_and_keeps_its_place(codec: Codec, tag: str, tmp_path: Path) -> None:
    video = encoded_video(Codec.H264, 60, b_frames=2)
    audio = encoded_audio(codec, 2, start_s=1.3)
    paths = _stages(record([video[0].track, audio[0].track], interleave(video, audio)), tmp_path)
    stored = [digest(each.data) for each in audio]
    first_picture_s = video[0].pts / 90_000
    heard = None
    for name, path in paths.items():
        assert raw_packet_digests(path) == stored, name
        decoded = ffmpeg_frames(path, "0:a")
        assert heard is None or decoded == heard, name
        heard = decoded
        streams = _probe(path)
        assert streams["audio"]["codec_tag_string"] == tag
        later_s = float(streams["audio"]["start_time"]) - float(streams["video"]["start_time"])
        assert later_s == pytest.approx(1.3 - first_picture_s, abs=0.002), name
    assert float(_probe(paths["closed"])["video"]["start_time"]) == 0
    assert float(_probe(paths["closed"])["video"]["duration"]) == pytest.approx(2.4)


def test_sound_before_the_first_picture_does_not_delay_it(tmp_path: Path) -> None:
    video = encoded_video(Codec.H264, 60, b_frames=2)
    audio = encoded_audio(Codec.PCMU, 2, start_s=0.9)
    paths = _stages(record([video[0].track, audio[0].track], interleave(video, audio)), tmp_path)
    for name in ("closed", "export"):
        streams = _probe(paths[name])
        assert float(streams["video"]["start_time"]) == 0
        assert float(streams["audio"]["start_time"]) == pytest.approx(0, abs=0.02)
        assert ffmpeg_frames(paths[name]) == [digest(frame) for frame in decoded_frames(video)]


@pytest.mark.parametrize("name", ["vtest", "people"])
def test_real_footage_is_bit_identical_at_every_stage(
    name: str, footage: dict[str, Path], tmp_path: Path
) -> None:
    units = footage_units(footage[name])[:250]
    expected = [digest(frame) for frame in decoded_frames(units)]
    for stage, path in _stages(record([units[0].track], units), tmp_path).items():
        assert ffmpeg_frames(path) == expected, stage


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("in_band", [(False, False), (True, False), (False, True)])
def test_an_export_over_a_change_of_encoding_shows_every_picture(
    codec: Codec, in_band: tuple[bool, bool], tmp_path: Path
) -> None:
    first = encoded_video(codec, 50, in_band=in_band[0])
    second = encoded_video(codec, 50, b_frames=2, size=(320, 240), in_band=in_band[1])
    files = {"a": record([first[0].track], first), "b": record([second[0].track], second)}
    runs = []
    for name in ("a", "b", "a"):
        answer = read_at(files[name].closed)
        segment = read_segment(answer, len(files[name].closed))
        runs.append(MovieRun(name, read_samples(answer, segment), *_span(segment)))
    movie = build_progressive_movie(runs)
    body = [
        e.source if isinstance(e.source, bytes) else files[e.source].closed[e.offset : e.offset + e.size]
        for e in movie.extents
    ]
    path = tmp_path / "export.mp4"
    path.write_bytes(b"".join([movie.header, *body]))
    expected = [[digest(frame) for frame in decoded_frames(each)] for each in (first, second)]
    frames = ffmpeg_frames(path)
    assert frames == expected[0] + expected[1] + expected[0]


def test_a_torn_file_plays_up_to_its_last_complete_fragment(tmp_path: Path) -> None:
    units: Sequence[AccessUnit] = encoded_video(Codec.H264, 60)
    recording = record([units[0].track], units)
    last = recording.fragments[3]
    path = tmp_path / "torn.mp4"
    path.write_bytes(recording.open[: last.end])
    pictures = sum(each.tracks[0].samples for each in recording.fragments[:4])
    assert ffmpeg_frames(path) == [digest(frame) for frame in decoded_frames(units[:pictures])]
