"""A clip proves what it was cut from, and that it shows all of what it holds, in order."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.clip_material import Clip, export, with_tables
from tests.evidence.evidence_material import Installation, Signed, install, record_signed
from tests.format.format_material import encoded_video, ffmpeg_frames, read_at

from vms.evidence.report import FileReport, FragmentState, Verdict
from vms.evidence.trust import Trust
from vms.evidence.verify import verify_file
from vms.format.errors import FormatError
from vms.format.mp4.boxes import box
from vms.format.mp4.evidence_box import Evidence, Insertion, Piece, build_evidence_box, parse_evidence_box
from vms.media import Codec, MediaKind


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def pair(home: Installation) -> tuple[Signed, Signed]:
    first = record_signed(home.signer)
    return first, record_signed(home.signer, number=2, previous=first.link)


@pytest.fixture(params=[False, True], ids=["as recorded", "with parameter sets"])
def clip(request: pytest.FixtureRequest, pair: tuple[Signed, Signed]) -> Clip:
    return export([(pair[0], 1, 4), (pair[1], 0, 2)], insert=request.param)


def _verify(data: bytes | bytearray, trust: Trust) -> FileReport:
    return verify_file("clip.mp4", read_at(data), len(data), trust)


def _everything_said(report: FileReport) -> str:
    return " ".join([*report.findings, *(text for each in report.sources for text in each.findings)])


def test_a_clip_of_whole_fragments_verifies_and_says_what_it_holds(
    home: Installation, clip: Clip, pair: tuple[Signed, Signed]
) -> None:
    report = _verify(clip.data, home.trust)
    assert (report.verdict, report.kind, _everything_said(report)) == (Verdict.VERIFIED, "export", "")
    assert [(each.first, each.last, each.total) for each in report.sources] == [
        (1, 4, len(pair[0].fragments)),
        (0, 2, len(pair[1].fragments)),
    ]
    assert [each.start_ns for each in report.sources] == [
        pair[0].fragments[1].start_ns,
        pair[1].fragments[0].start_ns,
    ]
    assert any(each.startswith("break: ") for each in report.notes)


def test_every_byte_of_a_clip_that_matters_is_covered(
    home: Installation, pair: tuple[Signed, Signed]
) -> None:
    """Bits of media and evidence; of the movie what changes where, when or how samples are shown."""
    clip = export([(pair[0], 1, 3)])
    trust = home.trust
    for position in range(len(clip.header), len(clip.data)):
        data = bytearray(clip.data)
        data[position] ^= 1 << position % 8
        assert _verify(data, trust).verdict is not Verdict.VERIFIED, position


def test_no_flipped_bit_of_the_movie_makes_another_clip_verify(
    home: Installation, pair: tuple[Signed, Signed]
) -> None:
    """What may differ is what players are told besides: names, languages, volumes, lengths."""
    clip = export([(pair[0], 1, 3)])
    trust = home.trust
    unseen = 0
    for position in range(len(clip.header)):
        data = bytearray(clip.data)
        data[position] ^= 1 << position % 8
        unseen += _verify(data, trust).verdict is Verdict.VERIFIED
    assert unseen < 0.1 * len(clip.header)


def test_a_changed_fragment_of_a_clip_is_named(home: Installation, clip: Clip) -> None:
    data = bytearray(clip.data)
    data[clip.pieces[1].offset + 40] ^= 1
    report = _verify(data, home.trust)
    assert report.verdict is Verdict.CHANGED
    found = [(n, each.index, each.state.value) for n, s in enumerate(report.sources) for each in s.fragments]
    assert [each for each in found if each[2] != "unchanged"] == [(1, 0, "changed")]


def _rebuilt(clip: Clip, media: bytes, pieces: list[Piece]) -> bytes:
    sources = parse_evidence_box(clip.evidence).sources
    return clip.header[:-8] + box(b"mdat", media) + build_evidence_box(sources, pieces)


def test_swapped_and_dropped_fragments_of_a_clip_are_found(
    home: Installation, pair: tuple[Signed, Signed]
) -> None:
    signed = pair[0]
    clip = export([(signed, 1, 4)])
    parts = [signed.fragment(index) for index in (1, 2, 3)]
    at = clip.pieces[0].offset

    def states(order: list[int]) -> list[tuple[int | None, str]]:
        media = b"".join(parts[index] for index in order)
        report = _verify(_rebuilt(clip, media, [Piece(0, 1, 4, at, len(media))]), home.trust)
        assert report.verdict is Verdict.CHANGED
        return [(e.index, e.state.value) for e in report.sources[0].fragments if e.state.value != "unchanged"]

    assert [state for _, state in states([1, 0, 2])] == ["reordered"]
    assert states([0, 2]) == [(2, "missing")]
    assert states([0, 1, 1, 2]) == [(2, "duplicated")]


def test_a_clip_that_shows_its_pictures_in_another_order_is_found(home: Installation, clip: Clip) -> None:
    video = next(each for each in clip.tracks.values() if each.track.kind is MediaKind.VIDEO)
    offsets, sizes = video.chunk_offsets, video.sizes
    offsets[1], offsets[2], sizes[1], sizes[2] = offsets[2], offsets[1], sizes[2], sizes[1]
    report = _verify(with_tables(clip), home.trust)
    assert report.verdict is Verdict.CHANGED
    assert "in another order" in _everything_said(report)


def test_a_clip_that_does_not_show_a_picture_is_found(home: Installation, clip: Clip) -> None:
    video = next(each for each in clip.tracks.values() if each.track.kind is MediaKind.VIDEO)
    video.chunk_offsets[2], video.sizes[2] = video.chunk_offsets[1], video.sizes[1]
    report = _verify(with_tables(clip), home.trust)
    assert report.verdict is Verdict.CHANGED
    assert "does not show 1" in _everything_said(report)


def test_a_clip_whose_time_was_bent_is_found(home: Installation, clip: Clip) -> None:
    video = next(each for each in clip.tracks.values() if each.track.kind is MediaKind.VIDEO)
    video.durations[0] -= 100
    video.durations[1] += 100
    data = clip.header, with_tables_of_any_size(clip)
    report = _verify(data[1], home.trust)
    assert "timed otherwise" in _everything_said(report)


def with_tables_of_any_size(clip: Clip) -> bytes:
    """The evidence's places are moved along."""
    from vms.format.mp4.boxes import mdat_header
    from vms.format.mp4.movie import build_movie

    file_type = box(b"ftyp", b"isom", bytes(4), b"isom")
    size = len(file_type) + len(build_movie(list(clip.tracks.values()))) + len(mdat_header(len(clip.media)))
    moved = size - clip.media_offset
    movie = build_movie(list(clip.tracks.values()), shift=moved)
    pieces = [
        Piece(
            p.source,
            p.first,
            p.last,
            p.offset + moved,
            p.size,
            tuple(Insertion(i.offset + moved, i.size) for i in p.insertions),
        )
        for p in clip.pieces
    ]
    sources = parse_evidence_box(clip.evidence).sources
    return file_type + movie + mdat_header(len(clip.media)) + clip.media + build_evidence_box(sources, pieces)


def test_moved_tables_alone_change_nothing(home: Installation, clip: Clip) -> None:
    video = next(each for each in clip.tracks.values() if each.track.kind is MediaKind.VIDEO)
    video.durations[-1] += 7  # the last one may last as long as the exporter says
    assert _verify(with_tables_of_any_size(clip), home.trust).verdict is Verdict.VERIFIED


def test_only_parameter_sets_may_be_inserted(home: Installation, pair: tuple[Signed, Signed]) -> None:
    clip = export([(pair[0], 0, 3)], insert=True)
    place = clip.pieces[0].insertions[0]
    data = bytearray(clip.data)
    data[place.offset + place.size - 1] ^= 1
    report = _verify(data, home.trust)
    assert report.verdict is Verdict.CHANGED
    assert "no parameter sets" in _everything_said(report)


def test_media_that_no_piece_covers_is_found(home: Installation, pair: tuple[Signed, Signed]) -> None:
    clip = export([(pair[0], 0, 3)])
    data = _rebuilt(clip, clip.media + b"more", clip.pieces)
    assert "are of no recording" in _everything_said(_verify(data, home.trust))


def test_evidence_of_another_recording_does_not_help(home: Installation, pair: tuple[Signed, Signed]) -> None:
    one, other = export([(pair[0], 0, 2)]), export([(pair[1], 0, 2)])
    report = _verify(one.header + one.media + other.evidence, home.trust)
    assert report.verdict is Verdict.CHANGED


def test_a_part_that_was_not_signed_is_unsigned(home: Installation, pair: tuple[Signed, Signed]) -> None:
    unsigned = record_signed(None, number=2)
    report = _verify(export([(pair[0], 1, 3), (unsigned, 0, 2)]).data, home.trust)
    assert report.verdict is Verdict.UNSIGNED
    assert [each.verdict for each in report.sources] == [Verdict.VERIFIED, Verdict.UNSIGNED]
    assert {each.state for each in report.sources[1].fragments} == {FragmentState.UNSIGNED}


def test_a_clip_without_evidence_is_said_to_have_none(home: Installation, clip: Clip) -> None:
    report = _verify(clip.header + clip.media, home.trust)
    assert report.verdict is Verdict.UNSIGNED
    assert "without evidence" in report.notes[0]


def test_the_evidence_box_comes_back_as_it_was_built(clip: Clip) -> None:
    evidence = parse_evidence_box(clip.evidence)
    assert evidence == Evidence(evidence.sources, tuple(clip.pieces))
    for size in range(0, len(clip.evidence), 97):
        with pytest.raises(FormatError):
            parse_evidence_box(clip.evidence[:size])
    with pytest.raises(FormatError):
        build_evidence_box(evidence.sources, [Piece(9, 0, 1, 0, 10)])


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("insert", [False, True])
def test_a_clip_plays_as_its_recording_does(home: Installation, tmp_path: Path, insert: bool) -> None:
    units = encoded_video(Codec.H264, 60, b_frames=2)
    signed = record_signed(home.signer, units, tracks=[units[0].track])
    unsigned = record_signed(None, units, tracks=[units[0].track])
    clip = export([(signed, 0, len(signed.fragments))], insert=insert)
    assert _verify(clip.data, home.trust).verdict is Verdict.VERIFIED
    frames = []
    for name, data in (("signed", signed.data), ("unsigned", unsigned.data), ("clip", clip.data)):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(data)
        frames.append(ffmpeg_frames(path))
    assert frames[0] == frames[1] == frames[2]
    assert len(frames[0]) == 60


def test_sound_that_was_shifted_against_the_pictures_is_found(home: Installation, clip: Clip) -> None:
    sound = next(each for each in clip.tracks.values() if each.track.kind is MediaKind.AUDIO)
    sound.first_dts += 8000 * 3
    sound.end_dts += 8000 * 3
    assert "shifted against each other" in _everything_said(
        _verify(with_tables_of_any_size(clip), home.trust)
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_to_a_clip_crashes_the_verifier_or_passes(
    home: Installation, pair: tuple[Signed, Signed], data: st.DataObject
) -> None:
    clip = export([(pair[0], 1, 3), (pair[1], 0, 2)], insert=data.draw(st.booleans()))
    whole = clip.data
    kind = data.draw(st.sampled_from(["cut", "zeros", "noise", "insert", "remove", "repeat"]))
    start = data.draw(st.integers(0, len(whole) - 1))
    size = data.draw(st.integers(1, min(2000, len(whole) - start)))
    match kind:
        case "cut":
            damaged = whole[:start]
        case "zeros":
            damaged = whole[:start] + bytes(size) + whole[start + size :]
        case "noise":
            noise = data.draw(st.binary(min_size=1, max_size=64))[: len(whole) - start]
            damaged = whole[:start] + noise + whole[start + len(noise) :]
        case "insert":
            damaged = whole[:start] + data.draw(st.binary(min_size=1, max_size=64)) + whole[start:]
        case "remove":
            damaged = whole[:start] + whole[start + size :]
        case _:
            damaged = whole[:start] + whole[start : start + size] * 2 + whole[start + size :]
    report = _verify(damaged, home.trust)
    if damaged[len(clip.header) - 8 :] != whole[len(clip.header) - 8 :]:
        assert report.verdict is not Verdict.VERIFIED


def test_pieces_in_another_order_or_twice_are_found(home: Installation, pair: tuple[Signed, Signed]) -> None:
    first, second = pair
    for parts in (
        [(second, 0, 2), (first, 0, 2)],
        [(first, 3, 5), (first, 0, 3)],
        [(first, 0, 3), (first, 2, 5)],
        [(first, 0, 3), (first, 0, 3)],
    ):
        report = _verify(export(parts).data, home.trust)
        assert report.verdict is Verdict.CHANGED
        assert any("another order than they were recorded in, or twice" in each for each in report.findings)
    left_out = _verify(export([(first, 0, 2), (first, 4, 6)]).data, home.trust)
    assert left_out.verdict is Verdict.VERIFIED
