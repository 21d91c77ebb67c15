"""An export may leave out its end, as it may by an edit list; nothing else."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.evidence.evidence_material import Installation, Signed, install, record_signed
from tests.format.format_material import read_at

from vms.evidence.report import FileReport, Verdict
from vms.evidence.verify import verify_file
from vms.format.hybrid import SampleTable, evidence_source, read_samples, read_segment
from vms.format.mp4.evidence_box import Piece, build_evidence_box
from vms.format.mp4.progressive import MovieBuilder, MovieRun
from vms.media import MediaKind

Tables = dict[int, SampleTable]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def pair(home: Installation) -> tuple[Signed, Signed]:
    first = record_signed(home.signer)
    return first, record_signed(home.signer, number=2, previous=first.link)


def runs(pair: Sequence[Signed]) -> list[MovieRun]:
    """Both recordings, whole."""
    found = []
    for number, signed in enumerate(pair):
        segment = read_segment(read_at(signed.data), len(signed.data))
        tables = read_samples(read_at(signed.data), segment)
        found.append(MovieRun(number, tables, signed.fragments[0].offset, signed.fragments[-1].end))
    return found


def verified(home: Installation, pair: Sequence[Signed], shown: Sequence[MovieRun]) -> FileReport:
    builder = MovieBuilder()
    for run in shown:
        builder.add(run)
    movie = builder.finish()
    media = b"".join(pair[each.source].data[each.offset : each.offset + each.size] for each in movie.extents)
    sources = [
        evidence_source(read_at(each.data), read_segment(read_at(each.data), len(each.data))) for each in pair
    ]
    pieces = [
        Piece(number, 0, len(pair[number].fragments), laid.offset, laid.size)
        for number, laid in enumerate(movie.pieces)
    ]
    data = bytes(movie.header) + media + build_evidence_box(sources, pieces)
    return verify_file("clip.mp4", read_at(data), len(data), home.trust)


def without(run: MovieRun, kind: MediaKind, first: int, last: int) -> MovieRun:
    """A run that lists of each table of a kind samples `first` up to `last` alone."""
    tables = {
        track_id: table.slice(first, len(table) + last) if table.track.kind is kind else table
        for track_id, table in run.tables.items()
    }
    return replace(run, tables=tables)


def test_everything_shown_is_verified(home: Installation, pair: tuple[Signed, Signed]) -> None:
    report = verified(home, pair, runs(pair))
    assert report.verdict is Verdict.VERIFIED
    assert not [note for note in report.notes if note.startswith("cut")]


@pytest.mark.parametrize(("kind", "many", "name"), [("video", 5, "pictures"), ("audio", 60, "sounds")])
def test_the_end_may_be_left_out_and_that_is_said(
    home: Installation, pair: tuple[Signed, Signed], kind: str, many: int, name: str
) -> None:
    first, second = runs(pair)
    report = verified(home, pair, [first, without(second, MediaKind(kind), 0, -many)])
    assert report.verdict is Verdict.VERIFIED, report.findings
    assert [note for note in report.notes if note.startswith("cut: the last 1.") and name in note]


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_the_end_of_a_piece_that_another_follows_may_not_be_left_out(
    home: Installation, pair: tuple[Signed, Signed], kind: str
) -> None:
    first, second = runs(pair)
    report = verified(home, pair, [without(first, MediaKind(kind), 0, -1), second])
    assert report.verdict is Verdict.CHANGED
    assert any("does not show 1" in finding for finding in report.findings)


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_beginning_may_not_be_left_out(home: Installation, pair: tuple[Signed, Signed], kind: str) -> None:
    first, second = runs(pair)
    for shown in (
        [without(first, MediaKind(kind), 1, 0), second],
        [first, without(second, MediaKind(kind), 1, 0)],
    ):
        assert verified(home, pair, shown).verdict is Verdict.CHANGED


def test_all_of_the_last_piece_may_not_be_left_out_under_its_name(
    home: Installation, pair: tuple[Signed, Signed]
) -> None:
    """Its evidence would say that it is shown."""
    first, second = runs(pair)
    silent = {k: t for k, t in second.tables.items() if t.track.kind is MediaKind.VIDEO}
    report = verified(home, pair, [first, replace(second, tables=silent)])
    assert report.verdict is Verdict.CHANGED
