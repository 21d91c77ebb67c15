"""Directories, archives and URLs: what is missing, doubled or strange is found."""

import functools
import http.server
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.clip_material import export
from tests.evidence.evidence_material import Installation, Signed, install, now_valid_ns, record_signed
from tests.format.format_material import VIDEO, pictures
from typer.testing import CliRunner

from vms import cli
from vms.evidence.archive import verify_archive
from vms.evidence.errors import NotEvidence, Unreachable
from vms.evidence.manifest import ManifestFile, sign_manifest
from vms.evidence.remote import open_url
from vms.evidence.report import LinkState, Report, Verdict, report_json
from vms.evidence.trust import Trust
from vms.evidence.verify import verify_directory, verify_together
from vms.storage.bodies import create_body
from vms.storage.keyring import Keyring, key_id, new_key_file
from vms.storage.layout import recording_name


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def row(home: Installation) -> list[Signed]:
    """Four recordings, each following the one before."""
    recordings: list[Signed] = []
    for number in range(1, 5):
        previous = recordings[-1].link if recordings else None
        recordings.append(record_signed(home.signer, number=number, previous=previous))
    return recordings


@pytest.fixture
def shelf(tmp_path: Path, row: list[Signed]) -> Path:
    for number, each in enumerate(row):
        (tmp_path / "front-door").mkdir(exist_ok=True)
        (tmp_path / "front-door" / f"{number}.mp4").write_bytes(each.data)
    return tmp_path


def _links(report: Report) -> dict[str, LinkState | None]:
    return {Path(file.name).stem: file.link for file in report.files}


def test_recordings_that_follow_each_other_verify(home: Installation, shelf: Path) -> None:
    report = verify_directory(shelf, home.trust)
    assert report.exit_code == 0
    assert list(_links(report).values()) == [LinkState.FIRST, *[LinkState.FOLLOWS] * 3]


def test_a_recording_that_is_gone_from_the_middle_is_missed(home: Installation, shelf: Path) -> None:
    (shelf / "front-door" / "1.mp4").unlink()
    report = verify_directory(shelf, home.trust)
    assert (report.exit_code, report.verdict) == (1, Verdict.INCOMPLETE)
    assert [file.verdict for file in report.files].count(Verdict.VERIFIED) == 2
    assert _links(report) == {"0": LinkState.FIRST, "2": LinkState.MISSING, "3": LinkState.FOLLOWS}


def test_old_recordings_may_be_gone(home: Installation, shelf: Path) -> None:
    for name in ("0", "1"):
        (shelf / "front-door" / f"{name}.mp4").unlink()
    report = verify_directory(shelf, home.trust)
    assert report.exit_code == 0
    assert _links(report) == {"2": LinkState.OLDEST, "3": LinkState.FOLLOWS}


def test_a_copy_of_a_recording_is_found(home: Installation, shelf: Path) -> None:
    data = (shelf / "front-door" / "1.mp4").read_bytes()
    (shelf / "front-door" / "9.mp4").write_bytes(data)
    report = verify_directory(shelf, home.trust)
    assert report.exit_code == 1
    assert _links(report)["9"] is LinkState.DUPLICATE


def test_a_recording_that_was_replaced_by_another_of_the_same_id_is_found(
    home: Installation, shelf: Path, row: list[Signed]
) -> None:
    """Signed with the right key, as somebody could who has it."""
    (shelf / "front-door" / "1.mp4").unlink()
    other = record_signed(home.signer, number=2, tracks=[VIDEO], units=pictures(1, start=720_000))
    (shelf / "front-door" / "1.mp4").write_bytes(other.data)
    report = verify_directory(shelf, home.trust)
    assert report.exit_code == 1
    assert _links(report)["2"] is LinkState.DIFFERENT


def test_a_recording_may_follow_one_that_was_still_being_written(home: Installation, tmp_path: Path) -> None:
    from vms.format.hybrid import PreviousFile
    from vms.format.hybrid.integrity import beginning_digest, chain

    first = record_signed(home.signer)
    written = chain(beginning_digest(first.beginning), first.digests[:2])
    second = record_signed(home.signer, number=2, previous=PreviousFile(first.identity.segment_id, written))
    for name, each in (("a", first), ("b", second)):
        (tmp_path / f"{name}.mp4").write_bytes(each.data)
    report = verify_directory(tmp_path, home.trust)
    assert report.exit_code == 0
    assert "2 of" in report.files[1].link_detail


def test_recordings_whose_order_was_turned_are_found(home: Installation, tmp_path: Path) -> None:
    later = record_signed(home.signer, number=5)
    earlier = record_signed(home.signer, number=1, previous=later.link)
    for name, each in (("a", later), ("b", earlier)):
        (tmp_path / f"{name}.mp4").write_bytes(each.data)
    assert _links(verify_directory(tmp_path, home.trust))["b"] is LinkState.REORDERED


def test_recordings_whose_names_were_exchanged_are_found(
    home: Installation, tmp_path: Path, row: list[Signed]
) -> None:
    paths = []
    for each in row[:2]:
        path = tmp_path / recording_name("front-door", each.fragments[0].start_ns, "main")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.data)
        paths.append(path)
    assert verify_directory(tmp_path, home.trust).exit_code == 0
    for path, each in zip(paths, reversed(row[:2]), strict=True):
        path.write_bytes(each.data)
    report = verify_directory(tmp_path, home.trust)
    assert report.exit_code == 1
    assert all("name is that of another" in file.findings[0] for file in report.files)


def test_cameras_hang_together_each_by_itself(home: Installation, shelf: Path) -> None:
    other = record_signed(home.signer, number=7, camera="yard")
    (shelf / "yard.mp4").write_bytes(other.data)
    assert verify_directory(shelf, home.trust).exit_code == 0


def test_what_is_no_recording_is_not_read_and_stops_nothing(home: Installation, shelf: Path) -> None:
    (shelf / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    report = verify_directory(shelf, home.trust)
    assert report.exit_code == 2
    assert [file.verdict for file in report.files].count(Verdict.VERIFIED) == 4


def test_volumes_of_a_system_are_verified_together(home: Installation, shelf: Path) -> None:
    ssd, tier, empty = shelf / "front-door", shelf / "tier", shelf / "empty"
    tier.mkdir()
    empty.mkdir()
    (ssd / "1.mp4").rename(tier / "1.mp4")
    assert verify_directory(ssd, home.trust).verdict is Verdict.INCOMPLETE

    report = verify_together([ssd, tier, empty], home.trust)

    assert (report.exit_code, report.verdict) == (0, Verdict.VERIFIED)
    assert list(_links(report).values()).count(LinkState.FOLLOWS) == 3
    assert [str(empty) in note for note in report.notes] == [True]
    assert {file.name for file in report.files} == {str(path) for path in shelf.rglob("*.mp4")}


def test_a_recording_that_two_volumes_have_is_a_copy_and_twice_in_one_is_a_fault(
    home: Installation, shelf: Path
) -> None:
    ssd, tier = shelf / "front-door", shelf / "tier"
    tier.mkdir()
    moving = (ssd / "2.mp4").read_bytes()
    (tier / "2.mp4").write_bytes(moving)
    report = verify_together([ssd, tier], home.trust)
    assert (report.exit_code, report.files[-1].link) == (0, LinkState.COPY)

    (tier / "2.mp4").write_bytes(moving[:5000] + bytes([moving[5000] ^ 1]) + moving[5001:])
    assert verify_together([ssd, tier], home.trust).verdict is Verdict.CHANGED

    (tier / "2.mp4").unlink()
    (ssd / "2b.mp4").write_bytes(moving)
    report = verify_together([ssd, tier / ".."], home.trust)
    assert (report.exit_code, report.verdict) == (1, Verdict.CHANGED)
    assert len(report.files) == 5  # named by both, verified once


def test_volumes_with_nothing_in_them_hold_no_evidence(home: Installation, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(NotEvidence, match=r"a: no recording.*; .*b: no recording"):
        verify_together([tmp_path / "a", tmp_path / "b"], home.trust)


def test_an_empty_directory_holds_no_evidence(home: Installation, tmp_path: Path) -> None:
    with pytest.raises(NotEvidence):
        verify_directory(tmp_path, home.trust)


# -- archives ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(home: Installation, row: list[Signed]) -> dict[str, bytes]:
    clip = export([(row[0], 0, 3), (row[1], 0, 2)]).data
    burnt = export([(row[0], 0, 2)])
    content = {
        "front-door.mp4": clip,
        "burnt.mp4": burnt.header + burnt.media,
        "index.html": b"<h1>Player</h1>",
    }
    listed = [
        ManifestFile(
            name,
            len(data),
            sha256(data).hexdigest(),
            "front-door" if name.endswith("mp4") else None,
            exact=name != "burnt.mp4",
        )
        for name, data in content.items()
    ]
    signed = sign_manifest(listed, home.signer, now_valid_ns(), title="Übergabe", details={"note": "case 7"})
    return content | signed.files()


def _zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _unpack(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


Pack = Callable[[Path, dict[str, bytes]], Path]


@pytest.fixture(params=["stored", "deflated", "unpacked"])
def pack(request: pytest.FixtureRequest) -> Pack:
    match request.param:
        case "stored":
            return _zip
        case "deflated":
            return functools.partial(_zip, compression=zipfile.ZIP_DEFLATED)
        case _:
            return _unpack


def test_an_archive_verifies(home: Installation, files: dict[str, bytes], pack: Pack, tmp_path: Path) -> None:
    report = verify_archive(pack(tmp_path / "archive", files), home.trust)
    assert report.exit_code == 0, report_json(report)
    assert "note: case 7" in report.notes
    (burnt,) = [file for file in report.files if file.name == "burnt.mp4"]
    assert burnt.vouched
    assert any("made anew" in note for note in burnt.notes)


def test_an_archive_of_a_stranger_is_not_trusted(files: dict[str, bytes], pack: Pack, tmp_path: Path) -> None:
    report = verify_archive(pack(tmp_path / "archive", files), Trust())
    assert (report.exit_code, report.verdict) == (1, Verdict.UNTRUSTED)


@pytest.mark.parametrize(
    "name", ["front-door.mp4", "burnt.mp4", "index.html", "manifest.json", "manifest.sig"]
)
def test_a_changed_file_of_an_archive_is_found(
    home: Installation, files: dict[str, bytes], pack: Pack, tmp_path: Path, name: str
) -> None:
    data = bytearray(files[name])
    data[len(data) // 2] ^= 1
    try:
        report = verify_archive(pack(tmp_path / "archive", files | {name: bytes(data)}), home.trust)
    except NotEvidence:
        assert name == "manifest.json"
        return
    assert report.exit_code == 1


def test_a_missing_and_an_added_file_are_found(
    home: Installation, files: dict[str, bytes], pack: Pack, tmp_path: Path
) -> None:
    changed = {name: data for name, data in files.items() if name != "index.html"} | {"extra.mp4": b"x"}
    report = verify_archive(pack(tmp_path / "archive", changed), home.trust)
    assert report.exit_code == 1
    assert report.findings == ["extra.mp4 is not in the manifest"]
    assert [file.findings for file in report.files if file.name == "index.html"] == [["it is missing"]]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_zip_file_never_verifies_something_else(
    home: Installation, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = _zip(tmp_path_factory.mktemp("zip") / "a.zip", files)
    whole = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole)
    try:
        report = verify_archive(path, home.trust)
    except (NotEvidence, OSError):
        return
    if report.exit_code == 0:  # dates, attributes and the like
        assert {file.name for file in report.files} == {"front-door.mp4", "burnt.mp4", "index.html"}


def test_names_that_lead_out_of_an_archive_are_refused(home: Installation) -> None:
    for name in ("../x", "/x", "a//b", "a\\b", "", "manifest.json"):
        with pytest.raises(ValueError, match="no name"):
            sign_manifest([ManifestFile(name, 1, "0" * 64)], home.signer, 0)


# -- the command -------------------------------------------------------------------------------------------


def _run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, [*map(str, arguments)], catch_exceptions=False)
    return result.exit_code, result.output


@pytest.fixture
def public_key(home: Installation, tmp_path: Path) -> Path:
    path = tmp_path / "system.pem"
    assert _run("keys", "export", "--data-dir", home.data_dir, "-o", path)[0] == 0
    return path


def test_the_command_tells_by_its_exit_code(
    home: Installation, shelf: Path, public_key: Path, tmp_path: Path
) -> None:
    one = shelf / "front-door" / "0.mp4"
    code, output = _run("verify", one, "--key", public_key)
    assert (code, "VERIFIED" in output, "unchanged" in output) == (0, True, True)
    assert _run("verify", one, "--data-dir", home.data_dir)[0] == 0
    assert _run("verify", shelf, "--key", public_key)[0] == 0
    code, output = _run("verify", one, "--data-dir", tmp_path / "nothing")
    assert code == 1
    assert "--key" in output
    one.write_bytes(one.read_bytes()[:-1])
    assert _run("verify", one, "--key", public_key)[0] == 1
    assert _run("verify", shelf / "none.mp4", "--key", public_key)[0] == 2
    assert _run("verify", one, "--key", tmp_path / "none.pem")[0] == 2


def test_the_command_takes_all_volumes_and_says_what_stands_alone(
    home: Installation, shelf: Path, public_key: Path, files: dict[str, bytes]
) -> None:
    ssd, tier = shelf / "front-door", shelf / "tier"
    tier.mkdir()
    (ssd / "1.mp4").rename(tier / "1.mp4")
    assert _run("verify", ssd, "--key", public_key)[0] == 1
    code, output = _run("verify", ssd, tier / "1.mp4", "--key", public_key)
    assert (code, "VERIFIED" in output) == (0, True)
    archive = _zip(shelf / "a.zip", files)
    code, output = _run("verify", ssd, archive, "--key", public_key)
    assert (code, "verified alone" in output) == (2, True)
    assert _run("verify", ssd, shelf / "none", "--key", public_key)[0] == 2


def test_json_names_every_fragment(home: Installation, shelf: Path, row: list[Signed]) -> None:
    path = shelf / "front-door" / "0.mp4"
    data = bytearray(path.read_bytes())
    data[row[0].fragments[2].offset + 33] ^= 1
    path.write_bytes(data)
    code, output = _run("verify", path, "--data-dir", home.data_dir, "--json")
    document = json.loads(output)
    assert code == document["exit_code"] == 1
    (source,) = document["files"][0]["sources"]
    runs = [(run["first"], run["last"], run["state"]) for run in source["fragments"]]
    last = len(row[0].fragments) - 1
    assert runs == [(0, 1, "unchanged"), (2, 2, "changed"), (3, last, "unchanged")]


def test_keys_are_shown_exported_and_rotated(tmp_path: Path) -> None:
    own = install(tmp_path / "own")
    before = own.signer.fingerprint
    code, output = _run("keys", "show", "--data-dir", own.data_dir)
    assert (code, before in output) == (0, True)
    code, output = _run("keys", "rotate", "--data-dir", own.data_dir)
    assert (code, own.signer.fingerprint in output, own.signer.fingerprint != before) == (0, True, True)
    assert "former authority" in _run("keys", "rotate", "--ca", "--data-dir", own.data_dir)[1]
    bare = _run("keys", "export", "--public-key", "--data-dir", own.data_dir)[1]
    assert bare.startswith("-----BEGIN PUBLIC KEY")


def test_an_encrypted_recording_is_verified_with_its_key(
    home: Installation, tmp_path: Path, row: list[Signed], public_key: Path
) -> None:
    key_file = tmp_path / "volume.key"
    key = new_key_file(key_file)
    path = tmp_path / "a.mp4"
    body = create_body(os.open(path, os.O_RDWR | os.O_CREAT), Keyring({key_id(key): key}, key_id(key)))
    signed = row[0]
    for each in [*signed.fragments, None]:
        start, end = (each.offset, each.end) if each else (signed.tail_offset, len(signed.data))
        if each is signed.fragments[0]:
            body.write([signed.beginning], 0)
        body.write([signed.data[start:end]], start)
    body.sync()
    body.close()
    assert _run("verify", path, "--key", public_key)[0] == 2
    assert _run("verify", path, "--key", public_key, "--volume-key", key_file)[0] == 0
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert _run("verify", path, "--key", public_key, "--volume-key", key_file)[0] == 1


# -- over HTTP ---------------------------------------------------------------------------------------------


class _Server(http.server.SimpleHTTPRequestHandler):
    """Serves ranges, and asks for a token."""

    ranges = True

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != "Bearer open sesame":
            self.send_error(401)
            return
        data = Path(self.translate_path(self.path)).read_bytes()
        wanted = self.headers.get("Range")
        if not self.ranges or wanted is None:
            self.send_response(200)
        else:
            first, last = (int(each) for each in wanted.removeprefix("bytes=").split("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}")
            data = data[first : last + 1]
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(params=[True, False], ids=["ranges", "no ranges"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    handler = type("Handler", (_Server,), {"ranges": request.param})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path))
    ) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def test_a_recording_is_verified_over_http(
    home: Installation, server: str, tmp_path: Path, row: list[Signed], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(row[0].data)
    url = f"{server}/a.mp4?secret=1"
    code, output = _run("verify", url, "--data-dir", home.data_dir)
    assert (code, "VMS_TOKEN" in output, "secret" in output) == (2, True, False)
    monkeypatch.setenv("VMS_TOKEN", "open sesame")
    assert _run("verify", url, "--data-dir", home.data_dir)[0] == 0
    assert _run("verify", f"{server}/a.mp4", "--data-dir", tmp_path / "nothing")[0] == 1


def test_large_files_are_read_in_blocks(server: str, tmp_path: Path) -> None:
    data = bytes(range(251)) * 20_000
    (tmp_path / "large").write_bytes(data)
    with open_url(f"{server}/large", "open sesame") as (read_at, size):
        assert size == len(data)
        for offset, many in ((0, 10), (size - 5, 100), (1 << 20, 3), ((1 << 20) - 7, 3 << 20), (size, 4)):
            assert read_at(offset, many) == data[offset : offset + many]


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(Unreachable), open_url("http://127.0.0.1:9/x"):
        pass
