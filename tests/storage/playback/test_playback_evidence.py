"""Exports carry the proof of what is in them, and nothing can be done to them that is not found."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.e2e.players import decoded, probe
from tests.evidence.evidence_material import Installation, install
from tests.storage.playback.shelf import (
    NOON_NS,
    PORCH,
    Shelf,
    demux,
    make_movie,
    moved,
    with_telephone_sound,
)

from vms.common.clock import NS
from vms.evidence.report import FileReport, FragmentState, Verdict
from vms.evidence.verify import verify_file
from vms.format.mp4.boxes import parse_header
from vms.format.mp4.evidence_box import build_evidence_box, parse_evidence_box
from vms.media import MediaKind
from vms.storage.playback import NothingRecorded, Playback


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("data"))


@pytest.fixture
def signed(shelf: Shelf, installation: Installation) -> Shelf:
    shelf.signer = installation.signer
    return shelf


@pytest.fixture(scope="session")
def hevc_movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 s of H.265 with B-frames and AAC."""
    path = tmp_path_factory.mktemp("movie") / "hevc.mp4"
    return make_movie(path, seconds=6, b_frames=2, sound=True, codec="libx265")


async def exported(
    playback: Playback, start_s: float, end_s: float, *, exact: bool = False
) -> tuple[bytes, int]:
    """The export, and the wall clock of its start."""
    start_ns, end_ns = NOON_NS + round(start_s * NS), NOON_NS + round(end_s * NS)
    download = await playback.export(PORCH, start_ns, end_ns, exact=exact)
    data = b"".join([piece async for piece in download.chunks(0, download.size_bytes - 1)])
    await download.close()
    assert len(data) == download.size_bytes
    return data, download.start_ns


def verified(data: bytes, installation: Installation) -> FileReport:
    return verify_file(
        "export.mp4", lambda offset, size: data[offset : offset + size], len(data), installation.trust
    )


def said(report: FileReport) -> str:
    """Everything that is wrong with it."""
    states = [source.count() for source in report.sources]
    return f"{report.findings} {[source.findings for source in report.sources]} {states} {report.error}"


def record_files(shelf: Shelf, movie: Path, **_: Path) -> None:
    """Several files of one recording, with sound and B-frames."""
    shelf.record(demux(movie), file_s=4)


def record_gap(shelf: Shelf, movie: Path, **_: Path) -> None:
    """A gap between two files."""
    shelf.record(demux(movie))
    shelf.record(moved(demux(movie), wall_s=20, timeline_s=3))


def record_break(shelf: Shelf, movie: Path, **_: Path) -> None:
    """A break in a file: 3 s are missing, and the timeline says so."""
    units = demux(movie)
    later = moved([unit for unit in units if unit.capture_ns >= NOON_NS + 6 * NS], wall_s=3, timeline_s=3)
    later[0] = later[0]._replace(discontinuity=True)
    shelf.record([*(unit for unit in units if unit.capture_ns < NOON_NS + 6 * NS), *later])


def record_encodings(shelf: Shelf, movie: Path, plain_movie: Path, hevc_movie: Path, **_: Path) -> None:
    """Four encodings, one after the other, two of them of another codec; sound comes and goes."""
    shelf.record(demux(plain_movie), file_s=6)
    shelf.record(moved(demux(movie), wall_s=12, timeline_s=12), file_s=6)
    shelf.record(moved(demux(plain_movie), wall_s=24))
    shelf.record(moved(demux(hevc_movie), wall_s=36), file_s=3)
    shelf.record(moved(with_telephone_sound(demux(plain_movie)), wall_s=44))


def record_sound_that_comes_and_goes(shelf: Shelf, movie: Path, **_: Path) -> None:
    """Sound stops in the middle of the second of four files, is not in the third, and back in the fourth."""
    silent_ns = range(int(NOON_NS + 4.1 * NS), NOON_NS + 9 * NS)
    units = [u for u in demux(movie) if u.track.kind is MediaKind.VIDEO or u.capture_ns not in silent_ns]
    shelf.record(units, file_s=3)


def record_two_recorders(shelf: Shelf, movie: Path, **_: Path) -> None:
    """A second recorder takes over at a key picture in the middle of the first one's file."""
    units = demux(movie)
    shelf.record([unit for unit in units if unit.capture_ns < NOON_NS + 7.3 * NS])
    shelf.newest = None
    shelf.record(moved([unit for unit in units if unit.capture_ns >= NOON_NS + 4 * NS], timeline_s=-2))


def record_uneven(shelf: Shelf, movie: Path, **_: Path) -> None:
    """Timestamps as cameras send them."""
    random, before = Random(5), {}
    units = []
    for unit in demux(movie):
        jitter = random.randrange(200)
        dts = max(unit.dts + jitter, before.get(unit.track.id, 0) + 1)
        before[unit.track.id] = dts
        units.append(unit._replace(dts=dts, pts=max(unit.pts + jitter, dts)))
    shelf.record(units, file_s=5)


RECORDED: dict[str, Callable[..., None]] = {
    each.__name__.removeprefix("record_"): each
    for each in (
        record_files,
        record_gap,
        record_break,
        record_encodings,
        record_sound_that_comes_and_goes,
        record_two_recorders,
        record_uneven,
    )
}


@pytest.fixture(params=RECORDED)
def recorded(
    request: pytest.FixtureRequest, signed: Shelf, movie: Path, plain_movie: Path, hevc_movie: Path
) -> Shelf:
    RECORDED[request.param](signed, movie=movie, plain_movie=plain_movie, hevc_movie=hevc_movie)
    return signed


@pytest.mark.parametrize("exact", [False, True])
async def test_any_part_of_what_was_recorded_verifies(
    recorded: Shelf, playback: Playback, installation: Installation, exact: bool
) -> None:
    ranges = [(-1, 90), (0, 3), (3.35, 8.25), (5.9, 6.1), (7.77, 11), (3.2, 60), (8.4, 40.48), (15.3, 38.04)]
    made = 0
    for start_s, end_s in ranges:
        segments = await recorded.segments(PORCH, NOON_NS + round(start_s * NS), NOON_NS + round(end_s * NS))
        if not segments:
            continue
        data, _ = await exported(playback, start_s, end_s, exact=exact)
        report = verified(data, installation)
        assert report.kind == "export"
        assert report.verdict is Verdict.VERIFIED, f"{start_s}-{end_s}: {said(report)}"
        (recorded.folder / "export.mp4").write_bytes(data)
        assert decoded(recorded.folder / "export.mp4", "-err_detect", "explode")
        made += 1
    assert made >= 5


async def test_an_exact_export_shows_the_pictures_of_its_range_and_no_other(
    signed: Shelf, playback: Playback, installation: Installation, movie: Path
) -> None:
    signed.record(demux(movie), file_s=4)
    source, path = decoded(movie), signed.folder / "export.mp4"
    for start_s, end_s in ((2.5, 3.5), (0.02, 1), (3.98, 4.02), (5.4, 5.44), (6, 7), (1.21, 9.99)):
        data, start_ns = await exported(playback, start_s, end_s, exact=True)
        path.write_bytes(data)
        first, last = int(start_s * 25 + 1e-6), -int(-end_s * 25 // 1)
        assert decoded(path) == source[first:last], (start_s, end_s)
        assert start_ns == pytest.approx(NOON_NS + first * NS // 25, abs=NS // 1000)
        streams = {stream["codec_type"]: stream for stream in probe(path)["streams"]}
        assert float(streams["video"]["start_time"]) == 0
        assert float(streams["video"]["duration"]) == pytest.approx(end_s - first / 25, abs=0.001)
        assert float(streams["audio"]["start_time"]) == pytest.approx(0, abs=0.022)
        report = verified(data, installation)
        assert report.verdict is Verdict.VERIFIED, said(report)


async def test_pictures_and_sound_of_an_exact_export_stay_together(
    signed: Shelf, playback: Playback, movie: Path
) -> None:
    """Where the sound of a picture is is told by the whole movie."""
    signed.record(demux(movie))
    path = signed.folder / "export.mp4"
    whole = _sound(movie)
    data, _ = await exported(playback, 2.52, 6.4, exact=True)
    path.write_bytes(data)
    part = _sound(path)
    begin = round(2.52 * 48_000)
    # A decoder that begins in the middle needs a frame or two to be right
    assert len(part) == pytest.approx((6.4 - 2.52) * 48_000, abs=1024)
    settled = part[4096 : 4096 + 20_000]
    errors = {
        shift: sum(
            abs(a - b)
            for a, b in zip(settled, whole[begin + 4096 + shift : begin + 24_096 + shift], strict=True)
        )
        for shift in range(-60, 61)
    }
    assert abs(min(errors, key=errors.__getitem__)) <= 50, "a period of the tone is 109 samples long"


def _sound(path: Path) -> list[int]:
    """The first channel's samples, as a player hears them."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-map", "0:a:0", "-ac", "1"]
    run = subprocess.run([*command, "-f", "s16le", "-"], capture_output=True, timeout=60, check=True)
    return list(memoryview(run.stdout).cast("h"))


async def test_an_exact_export_that_begins_in_a_gap_begins_after_it(
    signed: Shelf, playback: Playback, installation: Installation, plain_movie: Path
) -> None:
    record_break(signed, plain_movie)
    data, start_ns = await exported(playback, 7.5, 11, exact=True)
    assert start_ns == pytest.approx(NOON_NS + 9 * NS, abs=NS // 1000)
    path = signed.folder / "export.mp4"
    path.write_bytes(data)
    assert decoded(path) == decoded(plain_movie)[60:80]
    assert verified(data, installation).verdict is Verdict.VERIFIED
    with pytest.raises(NothingRecorded):
        await exported(playback, 7.5, 8.5, exact=True)


async def test_what_an_export_leaves_out_is_said(
    signed: Shelf, playback: Playback, installation: Installation, movie: Path
) -> None:
    record_gap(signed, movie)
    data, _ = await exported(playback, 2.7, 40, exact=True)
    (gap,) = [note for note in verified(data, installation).notes if "break" in note]
    assert gap == "break: 8.0 s of time lie between two of its pieces"
    assert any("the first 0.7 s of its pictures" in note for note in verified(data, installation).notes)


async def test_a_recording_that_is_not_closed_is_exported_and_called_unsigned(
    signed: Shelf, playback: Playback, installation: Installation, plain_movie: Path
) -> None:
    signed.record(demux(plain_movie), file_s=5, close=False)
    data, _ = await exported(playback, 3, 60)
    report = verified(data, installation)
    assert report.verdict is Verdict.UNSIGNED
    states = [set(source.count()) for source in report.sources]
    assert states == [{"unchanged"}, {"unchanged"}, {"unsigned"}]
    signed_part = verified((await exported(playback, 3, 9.9))[0], installation)
    assert signed_part.verdict is Verdict.VERIFIED


async def test_who_trusts_another_key_is_told_so(
    signed: Shelf, playback: Playback, installation: Installation, plain_movie: Path, tmp_path: Path
) -> None:
    signed.record(demux(plain_movie), file_s=5)
    data, _ = await exported(playback, 3, 60)
    assert verified(data, install(tmp_path / "other")).verdict is Verdict.UNTRUSTED


async def test_the_entity_tag_changes_when_a_recording_gets_its_signature(
    signed: Shelf, playback: Playback, plain_movie: Path
) -> None:
    """The proof is a part of the export."""
    units, tags = demux(plain_movie), []
    (segment,) = signed.record(units, close=False)
    for _ in range(2):
        download = await playback.export(PORCH, NOON_NS, NOON_NS + 5 * NS)
        tags.append(download.etag)
        await download.close()
        closed = signed._write(units, "main", close=True)
        signed.files = {segment.id: replace(closed, id=segment.id)}
    assert tags[0] != tags[1]


# -- tampering --------------------------------------------------------------------------------------------


@pytest.fixture
async def clip(signed: Shelf, playback: Playback, movie: Path, plain_movie: Path) -> bytes:
    """Three files, two encodings, inserted parameter sets, sound, B-frames, cut at both ends."""
    signed.record(demux(plain_movie), file_s=6)
    signed.record(moved(demux(movie), wall_s=12, timeline_s=12))
    data, _ = await exported(playback, 9.3, 15.21, exact=True)
    return data


def boxes(data: bytes) -> dict[str, range]:
    found, at = {}, 0
    while at < len(data):
        header = parse_header(data[at : at + 16])
        found[header.kind.decode()] = range(at, at + header.size)
        at += header.size
    return found


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
async def test_a_flipped_bit_is_found_wherever_it_is(clip: bytes, installation: Installation) -> None:
    assert verified(clip, installation).verdict is Verdict.VERIFIED
    random = Random(7)
    parts = boxes(clip)
    media, tables, evidence = parts["mdat"], parts["moov"], parts["uuid"]
    places = random.sample(media, 300) + random.sample(evidence, 200)
    for place in places:
        assert _flipped(clip, place, random, installation) is not Verdict.VERIFIED, place
    survived = [
        place
        for place in random.sample(tables, 600)
        if _flipped(clip, place, random, installation) is Verdict.VERIFIED
    ]
    free = list(_not_covered(clip))
    assert not [place for place in survived if place not in free]


def _flipped(clip: bytes, place: int, random: Random, installation: Installation) -> Verdict:
    data = bytearray(clip)
    data[place] ^= 1 << random.randrange(8)
    return verified(bytes(data), installation).verdict


def _not_covered(clip: bytes) -> list[int]:
    """Bytes of the moov that say nothing about what is shown: dates, languages, lengths, track numbers; edit lists may
    cut otherwise."""
    places: list[int] = []
    for kind, size in ((b"mvhd", 28), (b"tkhd", 36), (b"mdhd", 36), (b"elst", 60)):
        at = -1
        while (at := clip.find(kind, at + 1, boxes(clip)["moov"].stop)) >= 0:
            places += range(at, at + size)
    at = -1
    while (at := clip.find(b"stts", at + 1, boxes(clip)["moov"].stop)) >= 0:
        places += range(
            at, at + int.from_bytes(clip[at - 4 : at])
        )  # the last picture of a piece may last longer
    return places


def _rebuilt(clip: bytes, change: Callable[[bytearray, list], None]) -> bytes:
    """The clip with other media and an evidence box that says so: of somebody who knows the format."""
    parts = boxes(clip)
    evidence = parse_evidence_box(clip[parts["uuid"].start :])
    media, pieces = bytearray(clip[parts["mdat"].start : parts["mdat"].stop]), list(evidence.pieces)
    change(media, pieces)
    return clip[: parts["moov"].stop] + media + build_evidence_box(evidence.sources, pieces)


async def test_a_fragment_that_is_left_out_exchanged_or_doubled_is_found(
    clip: bytes, installation: Installation
) -> None:
    parts = boxes(clip)
    header = clip[parts["mdat"].start : parts["mdat"].start + 16]
    size = parse_header(header).header_size
    (first, *_) = parse_evidence_box(clip[parts["uuid"].start :]).pieces
    fragments = _fragments(clip, first.offset, first.offset + first.size)
    assert len(fragments) >= 4
    one, two = clip[fragments[1][0] : fragments[1][1]], clip[fragments[2][0] : fragments[2][1]]
    start = parts["mdat"].start

    def put(media: bytearray, begin: int, end: int, data: bytes) -> None:
        media[begin - start : end - start] = data
        media[:size] = len(media).to_bytes(4) + b"mdat"

    def swap(media: bytearray, pieces: list) -> None:
        put(media, fragments[1][0], fragments[2][1], two + one)

    def double(media: bytearray, pieces: list) -> None:
        put(media, fragments[2][0], fragments[2][1], one)

    def drop(media: bytearray, pieces: list) -> None:
        put(media, fragments[1][0], fragments[1][1], b"")

    states = {}
    for change in (swap, double, drop):
        report = verified(_rebuilt(clip, change), installation)
        assert report.verdict is Verdict.CHANGED, change.__name__
        states[change.__name__] = {state for source in report.sources for state in source.count()}
    assert FragmentState.REORDERED in states["swap"]
    assert FragmentState.MISSING in states["double"] & states["drop"]


def _fragments(clip: bytes, at: int, end: int) -> list[tuple[int, int]]:
    found = []
    while at < end:
        begin = at
        for _ in range(3):  # prft moof mdat
            at += parse_header(clip[at : at + 16]).size
        found.append((begin, at))
    return found


async def test_a_piece_that_is_left_out_with_its_samples_is_a_break_and_nothing_hidden(
    signed: Shelf, playback: Playback, installation: Installation, plain_movie: Path
) -> None:
    """Cutting footage out is allowed: whoever verifies it is told where."""
    signed.record(demux(plain_movie), file_s=4)
    middle = next(iter(sorted(signed.files, key=lambda each: signed.files[each].start_ns)[1:]))
    signed.delete(middle)
    report = verified((await exported(playback, 0, 60))[0], installation)
    assert report.verdict is Verdict.VERIFIED
    assert report.notes == ["break: 4.0 s of time lie between two of its pieces"]
