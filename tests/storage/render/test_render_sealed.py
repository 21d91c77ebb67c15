"""Exports of footage of encrypted volumes: nothing of it lies in the clear, neither meanwhile nor afterwards."""

import asyncio
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import av
import pytest
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux
from tests.storage.render.rendering import Renderer, probe

from vms.app.render_client import FinishedFile, RenderExports
from vms.common.clock import NS
from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.config import EncryptionConfig, VolumeConfig
from vms.media import AccessUnit, MediaKind
from vms.storage.keyring import KeyUnusable, new_key_file
from vms.storage.render import ExportOrder, JobState
from vms.storage.render.export_keys import ExportKeys
from vms.storage.sealed_log import MAGIC
from vms.storage.segment import Segment

OPTIONS = [{}, {"burn_in": "UTC"}, {"archive": True}, {"archive": True, "burn_in": "UTC"}]
TELLTALES = (b"ftypisom", b"moov\x00\x00\x00lmvhd", b"x264 - core", b"clips/porch.mp4", b"manifest.json")
"""What stands in MP4 files and archives, and is too long to be in encrypted bytes by chance."""


def order(seconds: float = 10.0, **options: object) -> ExportOrder:
    return ExportOrder((PORCH,), NOON_NS, NOON_NS + int(seconds * NS), **options)  # type: ignore[arg-type]


def volume(path: Path, key_file: Path | None) -> VolumeConfig:
    encryption = None if key_file is None else EncryptionConfig(key_file=key_file)
    return VolumeConfig(path=path, encryption=encryption)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    new_key_file(tmp_path / "volume.key")
    return tmp_path / "volume.key"


@pytest.fixture
async def sealing(shelf: Shelf, renderer: Renderer, key_file: Path) -> Renderer:
    """The renderer, of recordings on a volume that is encrypted."""
    renderer.volumes = (volume(shelf.folder, key_file),)
    await renderer.restart()
    return renderer


def pictures_of(units: list[AccessUnit]) -> list[bytes]:
    """24 bytes out of the middle of each picture: long enough not to be anywhere by chance."""
    shown = [unit.data for unit in units if unit.track.kind is MediaKind.VIDEO and len(unit.data) > 100]
    return [data[len(data) // 2 : len(data) // 2 + 24] for data in shown]


@dataclass
class Watcher:
    """Reads everything below a directory again and again. found: what it saw of `needles`, by file name."""

    directory: Path
    needles: list[bytes]
    found: set[tuple[str, bytes]] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    unsealed: set[str] = field(default_factory=set)
    rounds: int = 0

    def look(self) -> None:
        for path in self.directory.rglob("*"):
            try:
                data = path.read_bytes() if path.is_file() else b""
            except FileNotFoundError:
                continue
            if not data:
                continue
            self.seen.add(path.name)
            if path.suffix in {".mp4", ".zip"} and not data.startswith(MAGIC):
                self.unsealed.add(path.name)
            self.found |= {(path.name, needle) for needle in self.needles if needle in data}
        self.rounds += 1


@pytest.fixture
def watch(renderer: Renderer) -> Iterator[Watcher]:
    """Looks at the data directory from another thread, as long as the test lasts."""
    watcher = Watcher(renderer.data_dir, [])
    ends = threading.Event()

    def look() -> None:
        while not ends.is_set():
            watcher.look()
            time.sleep(0.002)  # the export is to get on

    thread = threading.Thread(target=look)
    thread.start()
    yield watcher
    ends.set()
    thread.join()


async def fetch(renderer: Renderer, job_id: str) -> FinishedFile:
    """A finished file as the API serves it."""

    async def names() -> dict[CameraId, str]:
        return {}

    exports = RenderExports(renderer.service, renderer.data_dir, ExportKeys(renderer.volumes), names)
    return await exports.file(UUID(job_id))


async def whole(file: FinishedFile) -> bytes:
    return b"".join([piece async for piece in file.chunks(0, file.size_bytes - 1)])


@pytest.mark.parametrize("options", OPTIONS)
async def test_nothing_of_an_encrypted_volume_lies_in_the_clear_while_and_after_an_export_is_made(
    shelf: Shelf,
    sealing: Renderer,
    watch: Watcher,
    movie: Path,
    tmp_path: Path,
    options: dict[str, object],
) -> None:
    units = demux(movie)
    shelf.record(units, file_s=4)
    watch.needles = pictures_of(units)
    path = await sealing.done(order(**options))
    stored = path.read_bytes()
    assert watch.seen & {"clip.mp4", path.name} and watch.rounds > 3, "it looked while the export was made"
    watch.look()
    assert watch.unsealed == set() and watch.found == set()
    (job,) = sealing.service.exports.list()
    file = await fetch(sealing, job.id)
    data = await whole(file)
    assert len(data) == file.size_bytes == job.size_bytes
    await file.close()
    served = tmp_path / path.name
    served.write_bytes(data)
    clip = served
    if path.suffix == ".zip":
        with zipfile.ZipFile(served) as archive:
            assert archive.testzip() is None
            clip = Path(archive.extract("clips/porch.mp4", tmp_path))
    assert [s["codec_name"] for s in probe(clip)["streams"]] == ["h264", "aac"]
    # what was encoded for this export is not there either
    with av.open(str(clip)) as container:
        encoded = [bytes(packet) for packet in container.demux(video=0) if packet.size > 100]
    parts = [each[len(each) // 2 :][:24] for each in encoded]
    assert parts and all(part in data for part in parts)
    assert not any(part in stored for part in (*parts, *watch.needles))
    assert not any(mark in stored for mark in TELLTALES)


async def test_the_same_watcher_finds_footage_where_no_volume_is_encrypted(
    shelf: Shelf, renderer: Renderer, watch: Watcher, movie: Path
) -> None:
    units = demux(movie)
    shelf.record(units)
    watch.needles = pictures_of(units)
    path = await renderer.done(order())
    watch.look()
    assert path.name in {name for name, _ in watch.found} and path.name in watch.unsealed
    assert path.read_bytes()[4:8] == b"ftyp"


async def test_any_range_of_an_encrypted_file_is_served_as_it_would_be_of_a_plain_one(
    shelf: Shelf, sealing: Renderer, movie: Path
) -> None:
    shelf.record(demux(movie))
    path = await sealing.done(order(archive=True))
    file = await fetch(sealing, path.parent.name)
    data = await whole(file)
    size = len(data)
    for first, last in ((0, 0), (1, 65_536), (65_535, 65_537), (size - 1, size - 1), (size // 2, size - 1)):
        part = b"".join([piece async for piece in file.chunks(first, last)])
        assert part == data[first : last + 1]
    await file.close()
    await file.close()


async def test_an_encrypted_file_that_was_changed_is_not_served_and_says_so(
    shelf: Shelf, sealing: Renderer, movie: Path
) -> None:
    shelf.record(demux(movie))
    path = await sealing.done(order())
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(stored)
    file = await fetch(sealing, path.parent.name)
    with pytest.raises(Unavailable, match="make the export again"):
        await whole(file)
    await file.close()


async def test_without_the_key_a_finished_file_is_refused_with_what_to_do(
    shelf: Shelf, sealing: Renderer, movie: Path, key_file: Path
) -> None:
    shelf.record(demux(movie))
    path = await sealing.done(order())
    key = key_file.read_text().strip()
    away = key_file.rename(key_file.with_suffix(".away"))
    with pytest.raises(Unavailable, match="restore it from a backup") as refused:
        await fetch(sealing, path.parent.name)
    assert key not in str(refused.value)
    away.rename(key_file)
    await (await fetch(sealing, path.parent.name)).close()


async def test_an_export_that_cannot_be_encrypted_fails_and_leaves_nothing(
    shelf: Shelf, sealing: Renderer, movie: Path, key_file: Path
) -> None:
    shelf.record(demux(movie))
    key_file.unlink()
    job = await sealing.ended((await sealing.service.create(order())).id)
    assert job.state is JobState.FAILED and "restore it from a backup" in (job.error or "")
    assert sealing.files_of(job.id) == {"job.json"}


async def test_a_running_export_of_an_encrypted_volume_is_begun_anew_after_a_restart(
    shelf: Shelf, sealing: Renderer, movie: Path
) -> None:
    shelf.record(demux(movie))
    job = await sealing.service.create(order(burn_in="UTC", archive=True))
    async with asyncio.timeout(30):
        while sealing.service.exports.get(job.id).progress < 0.02:
            await asyncio.sleep(0.002)
    await sealing.restart()
    done = await sealing.ended(job.id)
    assert done.state is JobState.DONE, done.error
    assert sealing.files_of(job.id) == {"job.json", done.file_name}


def test_the_key_is_that_of_the_volume_which_the_footage_is_on(tmp_path: Path, shelf: Shelf) -> None:
    files = [tmp_path / f"{name}.key" for name in ("first", "second")]
    for file in files:
        new_key_file(file)
    first, second, plain = (tmp_path / name for name in ("first", "second", "plain"))
    keys = ExportKeys((volume(plain, None), volume(first, files[0]), volume(second, files[1])))

    def chosen(*paths: Path) -> bytes | None:
        return keys.choose([recording(path / "porch" / "x.mp4") for path in paths]).current

    of_first, of_second = chosen(first), chosen(second)
    assert of_first is not None and of_second is not None and of_first != of_second
    assert chosen(plain, second) == of_second
    assert chosen(second, first) == of_first, "in the configured order"
    assert chosen(plain) == of_first, "what follows may be on an encrypted one"
    assert ExportKeys((volume(plain, None),)).choose([recording(plain / "x.mp4")]).current is None
    files[0].unlink()
    assert chosen(plain) == of_second
    files[1].unlink()
    with pytest.raises(KeyUnusable, match=r"first\.key"):
        chosen(first)


def recording(path: Path) -> Segment:
    """One at `path`; nothing else of it matters."""
    return Segment(
        id=UUID(int=1),
        camera_id=PORCH,
        stream="main",
        path=path,
        start_ns=0,
        end_ns=1,
        size_bytes=1,
        closed=True,
        video=None,
        audio=None,
    )
