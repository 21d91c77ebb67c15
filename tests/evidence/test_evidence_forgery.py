"""What a forger would try who has the disk, the files and this program, and none of the keys."""

import io
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from tests.evidence.evidence_material import Installation, install, now_valid_ns, record_signed
from typer.testing import CliRunner

from vms import cli
from vms.evidence.archive import is_archive, verify_archive
from vms.evidence.errors import NotEvidence
from vms.evidence.manifest import ManifestFile, sign_manifest
from vms.evidence.report import LinkState, Verdict
from vms.evidence.verify import verify_directory


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("forgery"))


@pytest.fixture(scope="module")
def archive(home: Installation) -> bytes:
    """A right one, as bytes."""
    page = b"<h1>Player</h1>" * 50
    listed = [ManifestFile("index.html", len(page), sha256(page).hexdigest())]
    signed = sign_manifest(listed, home.signer, now_valid_ns())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, data in ({"index.html": page} | signed.files()).items():
            file.writestr(name, data)
    return packed.getvalue()


def _verdict(home: Installation, path: Path) -> int:
    arguments = ["verify", str(path), "--data-dir", str(home.data_dir)]
    return CliRunner().invoke(cli.app, arguments, catch_exceptions=False).exit_code


def test_a_forged_film_with_a_right_archive_behind_it_does_not_verify(
    home: Installation, archive: bytes, tmp_path: Path
) -> None:
    """A ZIP file is read from its end, a film from its beginning."""
    right = tmp_path / "right.zip"
    right.write_bytes(archive)
    assert _verdict(home, right) == 0
    film = record_signed(None).data
    both = tmp_path / "film.mp4"
    both.write_bytes(film + archive)
    assert not is_archive(both), "players show the film"
    assert _verdict(home, both) != 0


def _behind(archive: bytes) -> bytes:
    return archive + b"more"


def _comment(archive: bytes) -> bytes:
    return archive[:-2] + (9).to_bytes(2, "little") + b"a comment"


def _between(archive: bytes) -> bytes:
    """A file that the list at the end does not name, where readers find it that go from the beginning on."""
    hidden = io.BytesIO()
    with zipfile.ZipFile(hidden, "w") as file:
        file.writestr("index.html", b"<h1>Another</h1>")
    start = int.from_bytes(hidden.getvalue()[-6:-2], "little")
    entry = hidden.getvalue()[:start]
    at = int.from_bytes(archive[-6:-2], "little")
    end = bytearray(archive[at:])
    end[-6:-2] = (at + len(entry)).to_bytes(4, "little")
    return archive[:at] + entry + bytes(end)


def _other_name(archive: bytes) -> bytes:
    """The file is called otherwise where it stands than in the list."""
    return archive.replace(b"index.html", b"other.html", 1)


def _other_size(archive: bytes) -> bytes:
    """The file is shorter where it stands than in the list."""
    changed = bytearray(archive)
    changed[18:26] = (4).to_bytes(4, "little") * 2
    return bytes(changed)


@pytest.mark.parametrize("forge", [_behind, _comment, _between, _other_name, _other_size])
def test_nothing_hides_in_an_archive_that_its_manifest_does_not_name(
    home: Installation, archive: bytes, tmp_path: Path, forge: object
) -> None:
    assert callable(forge)
    path = tmp_path / "forged.zip"
    path.write_bytes(forge(archive))
    try:
        report = verify_archive(path, home.trust)
    except NotEvidence:
        return
    assert report.exit_code == 1, report


@pytest.mark.parametrize("how", ["zip64", "streamed"])
def test_archives_of_other_shapes_verify(
    home: Installation, archive: bytes, tmp_path: Path, how: str
) -> None:
    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += memoryview(data)  # type: ignore[arg-type]
            return len(memoryview(data))  # type: ignore[arg-type]

    stream = Stream()
    path = tmp_path / "packed.zip"
    with (
        zipfile.ZipFile(io.BytesIO(archive)) as source,
        zipfile.ZipFile(stream if how == "streamed" else path, "w", zipfile.ZIP_DEFLATED) as packed,  # type: ignore[call-overload]
    ):
        for name in source.namelist():
            with packed.open(name, "w", force_zip64=how == "zip64") as member:
                member.write(source.read(name))
    if how == "streamed":
        path.write_bytes(stream.data)
    report = verify_archive(path, home.trust)
    assert report.exit_code == 0, report


# -- directories -------------------------------------------------------------------------------------------


def _shelf(path: Path, files: list[bytes]) -> Path:
    path.mkdir()
    for number, data in enumerate(files):
        (path / f"{number}.mp4").write_bytes(data)
    return path


def test_a_recording_that_lost_its_signature_is_told_from_one_that_is_missing(
    home: Installation, tmp_path: Path
) -> None:
    """Without keys it is recorded unsigned; the next one names it all the same, and so says what it was."""
    first = record_signed(home.signer, number=1)
    second = record_signed(home.signer, number=2, previous=first.link)
    third = record_signed(home.signer, number=3, previous=second.link)
    stripped = record_signed(None, number=2)
    assert stripped.chain_digest == second.chain_digest
    report = verify_directory(_shelf(tmp_path / "a", [first.data, stripped.data, third.data]), home.trust)
    assert [file.link for file in report.files] == [LinkState.FIRST, LinkState.UNSIGNED, LinkState.FOLLOWS]
    assert "not signed itself" in report.files[2].link_detail
    assert report.verdict is Verdict.UNSIGNED
    changed = bytearray(stripped.data)
    changed[stripped.fragments[1].end - 1] ^= 1
    report = verify_directory(_shelf(tmp_path / "b", [first.data, bytes(changed), third.data]), home.trust)
    assert report.files[2].link is LinkState.DIFFERENT
    assert report.exit_code == 1
