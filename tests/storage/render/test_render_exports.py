"""Exports in the background: what is in the file that they make."""

import zipfile
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import pytest
from tests.storage.playback.shelf import (
    NOON_NS,
    PORCH,
    Shelf,
    demux,
    make_movie,
    moved,
    packets,
    with_telephone_sound,
)
from tests.storage.render.rendering import Renderer, also_of, luma_rows, pictures, probe
from typer.testing import CliRunner

from vms import cli
from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.common.secrets import KEY_NAME, make_key
from vms.evidence.archive import verify_archive
from vms.evidence.keys import ensure_keys
from vms.evidence.manifest import parse_manifest
from vms.evidence.report import Verdict
from vms.evidence.trust import Trust
from vms.media import Gap, GapReason
from vms.storage.playback import NothingRecorded
from vms.storage.render import ExportOrder
from vms.storage.render.drawing import Easel, wall_text
from vms.storage.render.evidence import installation_evidence

LISBON = "Europe/Lisbon"
ATTIC = CameraId("attic")


def order(seconds: float = 6.0, from_s: float = 2.0, **options: object) -> ExportOrder:
    start_ns = NOON_NS + int(from_s * NS)
    cameras = options.pop("cameras", (PORCH,))
    return ExportOrder(cameras, start_ns, start_ns + int(seconds * NS), **options)  # type: ignore[arg-type]


async def test_a_copy_holds_the_same_packets_as_a_streamed_export(
    shelf: Shelf, renderer: Renderer, movie: Path, tmp_path: Path
) -> None:
    shelf.record(demux(movie), file_s=4)
    path = await renderer.done(order())
    assert path.name == "porch_2026-11-23T12-00-02Z.mp4"
    streamed = tmp_path / "streamed.mp4"
    export = await renderer.service.playback.export(PORCH, NOON_NS + 2 * NS, NOON_NS + 8 * NS)
    with streamed.open("wb") as file:
        async for chunk in export.chunks(0, export.size_bytes - 1):
            file.write(chunk)
    await export.close()
    for stream in ("v:0", "a:0"):
        assert packets(path, stream) == packets(streamed, stream)
    assert path.stat().st_size == renderer.service.exports.list()[0].size_bytes


def read_bar(frame: av.VideoFrame, easel: Easel, text: str) -> float:
    """The share of dots of `text` in the bar below a picture that are as they were drawn."""
    scale, right, dots = easel.scale, 0, 0
    rows = easel.bar(text)
    shown = luma_rows(frame, easel.picture_height + 2 * scale, len(rows) * scale)
    for number, row in enumerate(rows):
        below = shown[number * scale + scale // 2]
        for column in range(scale // 2, len(row), scale):
            right += (row[column] > 128) == (below[column + 3 * scale] > 128)
            dots += 1
    return right / dots


async def test_every_picture_says_when_it_was_captured(shelf: Shelf, renderer: Renderer, movie: Path) -> None:
    shelf.record(demux(movie), file_s=4)
    path = await renderer.done(order(burn_in=LISBON, exact=True))
    shown = pictures(path)
    assert len(shown) == 150
    easel = Easel(160, 120)
    assert (shown[0].width, shown[0].height) == (easel.width, easel.height)
    zone = ZoneInfo(LISBON)
    for index in (0, 1, 37, 74, 75, 76, 149):
        at_ns = NOON_NS + 2 * NS + index * NS // 25
        text = f"{wall_text(at_ns, zone)} porch"
        assert text.startswith("2026-11-23 12:00:0") and " +00:00 " in text
        assert read_bar(shown[index], easel, text) > 0.98
        wrong = f"{wall_text(at_ns + NS // 25, zone)} porch"
        assert read_bar(shown[index], easel, wrong) < read_bar(shown[index], easel, text)
        assert shown[index].time == pytest.approx(index / 25, abs=0.001)


async def test_the_footage_above_the_time_is_what_was_recorded(
    shelf: Shelf, renderer: Renderer, tmp_path: Path
) -> None:
    movie = make_movie(tmp_path / "large.mp4", seconds=2, codec="libx265", fps=10, gop=10)
    shelf.record(demux(movie))
    path = await renderer.done(order(seconds=2, from_s=0, burn_in="UTC"))
    source, shown = pictures(movie), pictures(path)
    assert len(source) == len(shown)
    for before, after in zip(source, shown, strict=True):
        grown = before.reformat(width=320, height=240, format="yuv420p")
        left, right = luma_rows(grown, 0, 240), luma_rows(after, 0, 240)
        off = sum(abs(a - b) for x, y in zip(left, right, strict=True) for a, b in zip(x, y, strict=True))
        assert off / (320 * 240) < 4


async def test_a_gap_is_a_card_that_says_from_when_to_when_and_why(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=60, timeline_s=60))
    shelf.recorded_gaps = [Gap(NOON_NS + 12 * NS, NOON_NS + 60 * NS, GapReason.CAMERA_LOST)]
    path = await renderer.done(order(seconds=52, from_s=10, burn_in=LISBON))
    shown = pictures(path)
    assert len(shown) == 20 + 10 + 20  # 2 s of footage, 2 s of card, 2 s of footage
    easel, zone = Easel(160, 120), ZoneInfo(LISBON)
    assert read_bar(shown[19], easel, f"{wall_text(NOON_NS + 11_900_000_000, zone)} porch") > 0.98
    assert read_bar(shown[30], easel, f"{wall_text(NOON_NS + 60 * NS, zone)} porch") > 0.98
    card = luma_rows(shown[25], 0, easel.picture_height)
    lit = sum(byte > 128 for row in card for byte in row)
    assert 0 < lit < 0.1 * len(card) * easel.width, "text on black"
    assert shown[30].time == pytest.approx(4.0, abs=0.02)


async def test_pieces_say_which_moment_is_where_in_a_burnt_clip(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    units = demux(plain_movie)
    shelf.record(units, file_s=4)
    shelf.record(moved(units, wall_s=60, timeline_s=60))
    path = await renderer.done(order(seconds=70, from_s=0, burn_in="UTC", archive=True))
    camera = manifest_of(path).details["cameras"][0]
    assert [piece["clip_ms"] for piece in camera["pieces"]] == [0, 14_000]
    assert camera["pieces"][0]["end"] == "2026-11-23T12:00:12.000Z"
    assert camera["pieces"][1]["start"] == "2026-11-23T12:01:00.000Z"


@pytest.mark.parametrize("sound", ["aac", "g711"])
async def test_sound_is_kept_and_in_step(
    shelf: Shelf, renderer: Renderer, movie: Path, plain_movie: Path, sound: str
) -> None:
    shelf.record(demux(movie) if sound == "aac" else with_telephone_sound(demux(plain_movie)), file_s=4)
    path = await renderer.done(order(seconds=6, burn_in="UTC"))
    streams = {stream["codec_type"]: stream for stream in probe(path)["streams"]}
    assert streams["audio"]["codec_name"] == "aac"
    lasts = {kind: float(stream["duration"]) for kind, stream in streams.items()}
    assert lasts["video"] == pytest.approx(6.0, abs=0.1)
    assert lasts["audio"] == pytest.approx(6.0, abs=0.15)
    with av.open(str(path)) as container:
        loud = max(
            max(abs(sample) for sample in memoryview(bytes(f.planes[0])).cast("f"))
            for f in container.decode(audio=0)
        )
    assert loud > 0.01, "it is not silence"


async def test_silence_fills_a_gap_so_that_sound_after_it_is_in_step(
    shelf: Shelf, renderer: Renderer, movie: Path
) -> None:
    units = demux(movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=60, timeline_s=60))
    path = await renderer.done(order(seconds=72, from_s=0, burn_in="UTC"))
    lasts = {s["codec_type"]: float(s["duration"]) for s in probe(path)["streams"]}
    assert lasts["video"] == pytest.approx(26.0, abs=0.1)
    assert lasts["audio"] == pytest.approx(26.0, abs=0.15)


def manifest_of(path: Path):  # type: ignore[no-untyped-def]
    with zipfile.ZipFile(path) as archive:
        return parse_manifest(archive.read("manifest.json"))


async def test_an_archive_holds_a_clip_of_each_camera_and_says_what_is_missing(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=20, timeline_s=20))
    also_of(shelf, shelf.record(units), ATTIC)
    cellar = CameraId("cellar")
    wanted = order(
        seconds=40,
        from_s=0,
        cameras=(PORCH, ATTIC, cellar),
        title="Case 7 </script>",
        note="for the insurer",
        asked_by="ana",
        names={PORCH: "Porch & door"},
    )
    path = await renderer.done(wanted)
    assert path.name == "export_2026-11-23T12-00-00Z.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        page = archive.read("player.html").decode()
        readme = archive.read("README.txt").decode()
    assert names == ["clips/porch.mp4", "clips/attic.mp4", "README.txt", "player.html", "manifest.json"]
    assert "Case 7 </script>" not in page, "nothing that was typed in ends the script"
    assert "vms verify ARCHIVE.zip" in readme and "Case 7" in readme
    manifest = manifest_of(path)
    assert manifest.title == "Case 7 </script>"
    assert manifest.node == "attic"
    details = manifest.details
    assert details["note"] == "for the insurer" and details["asked_by"] == "ana"
    porch, attic, missing = details["cameras"]
    assert porch["name"] == "Porch & door"
    assert [piece["clip_ms"] for piece in porch["pieces"]] == [0, 12_000]
    assert porch["gaps"][0]["start"] == "2026-11-23T12:00:12.000Z"
    assert porch["gaps"][0]["reason"] == "unknown"
    assert attic["file"] == "clips/attic.mp4"
    assert missing["file"] is None and "no recordings" in missing["nothing_recorded"]


async def test_a_signed_archive_verifies_and_one_that_was_changed_does_not(
    shelf: Shelf, renderer: Renderer, plain_movie: Path, tmp_path: Path
) -> None:
    secrets = make_key(renderer.data_dir / KEY_NAME)
    ensure_keys(renderer.data_dir, "attic", secrets)
    renderer.evidence = installation_evidence(renderer.data_dir, "attic")
    assert renderer.evidence.signer is not None
    shelf.record(demux(plain_movie))
    path = await renderer.done(order(archive=True, burn_in="UTC"))
    trust = Trust.of_data_dir(renderer.data_dir)
    report = verify_archive(path, trust)
    assert report.verdict is Verdict.VERIFIED, report
    assert report.exit_code == 0
    stranger = Trust()
    assert verify_archive(path, stranger).verdict is Verdict.UNTRUSTED
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + 5000
    data[middle] ^= 1
    changed = tmp_path / "changed.zip"
    changed.write_bytes(data)
    assert verify_archive(changed, trust).exit_code != 0


@pytest.fixture
def signed(shelf: Shelf, renderer: Renderer) -> Shelf:
    """The shelf of an installation that signs what it records and exports."""
    ensure_keys(renderer.data_dir, "attic", make_key(renderer.data_dir / KEY_NAME))
    renderer.evidence = installation_evidence(renderer.data_dir, "attic")
    shelf.signer = renderer.evidence.signer
    return shelf


def vms(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and output of a command."""
    result = CliRunner().invoke(cli.app, [*map(str, arguments)], catch_exceptions=False)
    return result.exit_code, result.output


@pytest.mark.parametrize("exact", [False, True])
async def test_copied_clips_are_verified_and_so_they_are_offline(
    signed: Shelf, renderer: Renderer, movie: Path, tmp_path: Path, exact: bool
) -> None:
    signed.record(demux(movie), file_s=4)
    signed.record(moved(demux(movie), wall_s=60, timeline_s=60), file_s=4)
    key = tmp_path / "system.pem"
    assert vms("keys", "export", "--data-dir", renderer.data_dir, "-o", key)[0] == 0
    for options in ({}, {"archive": True}):
        path = await renderer.done(order(seconds=65, from_s=2.5, exact=exact, **options))
        assert renderer.service.exports.get(path.parent.name).verified is True
        code, said = vms("verify", path, "--key", key)
        assert code == 0, said
        changed = bytearray(path.read_bytes())
        changed[changed.index(b"mdat") + 20_000] ^= 1
        other = tmp_path / f"changed{path.suffix}"
        other.write_bytes(changed)
        assert vms("verify", other, "--key", key)[0] == 1
        renderer.clock.advance(1)
    assert manifest_of(path).details["cameras"][0]["verified"] is True
    assert manifest_of(path).details["exact"] is exact


async def test_a_burnt_clip_and_unsigned_recordings_are_neither_verified_nor_changed(
    signed: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    signed.record(demux(plain_movie))
    path = await renderer.done(order(burn_in="UTC"))
    assert renderer.service.exports.get(path.parent.name).verified is None
    signed.signer = None
    signed.record(moved(demux(plain_movie), wall_s=60, timeline_s=60))
    path = await renderer.done(order(seconds=5, from_s=61))
    assert renderer.service.exports.get(path.parent.name).verified is None


async def test_a_recording_that_was_changed_on_its_volume_makes_an_export_that_is_not_verified(
    signed: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    (segment,) = signed.record(demux(plain_movie))
    data = bytearray(segment.path.read_bytes())
    data[len(data) // 2] ^= 1
    segment.path.write_bytes(data)
    path = await renderer.done(order(seconds=12, from_s=0, archive=True))
    assert renderer.service.exports.get(path.parent.name).verified is False
    assert manifest_of(path).details["cameras"][0]["verified"] is False


async def test_without_keys_an_archive_is_made_and_says_that_it_is_unsigned(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    renderer.evidence = installation_evidence(renderer.data_dir, "attic")
    assert renderer.evidence.signer is None
    shelf.record(demux(plain_movie))
    path = await renderer.done(order(archive=True))
    report = verify_archive(path, Trust())
    assert report.verdict is not Verdict.VERIFIED
    assert report.signature is not None and report.signature.state.value != "trusted"


async def test_a_range_without_recordings_is_refused_with_its_reason(
    shelf: Shelf, renderer: Renderer
) -> None:
    shelf.recorded_gaps = [Gap(NOON_NS, None, GapReason.CAMERA_LOST, "no answer from the camera")]
    with pytest.raises(NothingRecorded, match="no answer from the camera"):
        await renderer.service.create(order())
    assert renderer.service.exports.list() == []


def test_times_are_told_with_their_offset_also_when_clocks_are_set_back() -> None:
    zone = ZoneInfo("Europe/Berlin")
    before = 1_792_888_200 * NS  # 2026-10-25T00:30:00Z
    assert wall_text(before, zone) == "2026-10-25 02:30:00.000 +02:00"
    assert wall_text(before + 3600 * NS + 999_999_999, zone) == "2026-10-25 02:30:00.999 +01:00"
    assert wall_text(before, ZoneInfo("America/St_Johns")) == "2026-10-24 22:00:00.000 -02:30"


@pytest.mark.parametrize("size", [(1920, 1080), (640, 481), (161, 120), (32, 24)])
def test_a_whole_time_fits_below_pictures_of_any_size(size: tuple[int, int]) -> None:
    easel = Easel(*size)
    text = "2026-10-24 22:00:00.000 -02:30"
    assert len(easel.bar(text)[0]) == len(text) * 6 * easel.scale
    assert easel.width % 2 == easel.height % 2 == easel.picture_height % 2 == 0
    frame = easel.draw(av.VideoFrame(*size, "yuv420p"), text)
    assert (frame.width, frame.height) == (easel.width, easel.height)
    assert read_bar(frame, easel, text) == 1.0


async def test_damaged_pictures_are_left_out_of_a_burnt_clip_and_the_rest_keeps_its_times(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    units = demux(plain_movie)
    damaged = [
        unit._replace(data=unit.data[:4] + bytes(len(unit.data) - 4)) if 25 <= number < 30 else unit
        for number, unit in enumerate(units)
    ]
    shelf.record(damaged)
    path = await renderer.done(order(seconds=6, from_s=0, burn_in="UTC"))
    shown = pictures(path)
    assert 50 <= len(shown) <= 60
    easel = Easel(160, 120)
    last = f"{wall_text(NOON_NS + 5_900_000_000, ZoneInfo('UTC'))} porch"
    assert read_bar(shown[-1], easel, last) > 0.98
    assert shown[-1].time == pytest.approx(5.9, abs=0.01)
