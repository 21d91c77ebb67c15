"""A browser, the API, the control socket and the render role: what the browser gives up is given up by all of them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.api.stand_ins import Backend
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux, make_movie
from tests.storage.render.rendering import Renderer

from vms.api.service import ApiService
from vms.app.render_client import RenderExports, RenderThumbnails
from vms.bus.local import LocalServer
from vms.common.camera import Camera
from vms.common.clock import NS, ManualClock, rfc3339
from vms.common.ids import CameraId
from vms.config import HttpConfig
from vms.gateway.registry import CameraRegistry
from vms.storage.render.control import RenderControl, render_methods
from vms.storage.render.export_keys import ExportKeys

CAMERA = f"/api/v1/cameras/{PORCH}"
AT = rfc3339(NOON_NS + NS)
END = rfc3339(NOON_NS + 10 * NS)


@pytest.fixture
async def renderer(tmp_path: Path) -> AsyncIterator[Renderer]:
    """The render role over ten seconds of footage."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    shelf = Shelf(folder)
    shelf.record(demux(make_movie(tmp_path / "movie.mp4", seconds=10, fps=10, gop=10)))
    renderer = Renderer(shelf, tmp_path / "render")
    await renderer.start()
    yield renderer
    await renderer.stop()
    assert not shelf.leaked, "files were left open"


@pytest.fixture
async def service(renderer: Renderer, tmp_path: Path) -> AsyncIterator[ApiService]:
    """An API that asks the render role over its control socket."""
    server = LocalServer(tmp_path / "render.sock", render_methods(renderer.service))
    await server.start()
    control = RenderControl(tmp_path / "render.sock")
    clock = ManualClock(NOON_NS + 60 * NS)
    registry = CameraRegistry(tmp_path / "data", clock)
    await registry.start((Camera(id=PORCH, name="Porch", source="rtsp://192.0.2.1/"),))
    backend = Backend(registry, clock, tmp_path / "data")
    backend.thumbnails = RenderThumbnails(control)  # type: ignore[assignment]
    backend.jobs = RenderExports(control, renderer.data_dir, ExportKeys(), _names)  # type: ignore[assignment]
    service = ApiService(HttpConfig(port=0), backend.ports, b"s" * 32)
    await service.start()
    yield service
    await service.stop()
    control.close()
    await server.stop()
    await registry.stop()


async def _names() -> dict[CameraId, str]:
    return {PORCH: "Porch"}


async def ask(service: ApiService, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(f"GET {CAMERA}/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return reader, writer


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


async def head(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(20):
        return (await reader.readuntil(b"\r\n\r\n")).decode()


@pytest.mark.parametrize(
    "path", [f"thumbnail.jpg?at={AT}", f"thumbnails.jpg?start={rfc3339(NOON_NS)}&end={END}&count=5"]
)
async def test_what_a_browser_no_longer_waits_for_is_never_decoded(
    service: ApiService, renderer: Renderer, path: str
) -> None:
    thumbnails = renderer.service.thumbnails
    async with thumbnails.turns.turn():  # the one decoder is busy, so what is asked for waits
        _, leaves = await ask(service, path)
        await until(lambda: thumbnails.turns._waiting)
        leaves.transport.abort()
        await until(lambda: not thumbnails.turns._waiting)
        reader, stays = await ask(service, f"thumbnail.jpg?at={rfc3339(NOON_NS + 8 * NS)}")
        await until(lambda: thumbnails.turns._waiting)
    assert " 200 " in await head(reader)
    stays.close()
    assert thumbnails.decoded == 1, "the one that somebody waited for"
    assert thumbnails._making == {} and thumbnails._strips == 0


async def test_a_browser_that_leaves_does_not_take_the_picture_from_another_that_waits_for_it(
    service: ApiService, renderer: Renderer
) -> None:
    thumbnails = renderer.service.thumbnails
    path = f"thumbnail.jpg?at={AT}"
    async with thumbnails.turns.turn():
        _, leaves = await ask(service, path)
        reader, stays = await ask(service, path)
        await until(lambda: any(shared._waiting == 2 for shared in thumbnails._making.values()))
        leaves.transport.abort()
        await until(lambda: all(shared._waiting == 1 for shared in thumbnails._making.values()))
    assert " 200 " in await head(reader)
    stays.close()
    assert thumbnails.decoded == 1


async def test_a_strip_comes_through_all_of_it(service: ApiService) -> None:
    reader, writer = await ask(service, f"thumbnails.jpg?start={rfc3339(NOON_NS)}&end={END}&count=5&width=80")
    answer = await head(reader)
    writer.close()
    assert " 200 " in answer and "x-cell: 80x60" in answer.lower()
    times = [line for line in answer.splitlines() if line.lower().startswith("x-times")]
    assert times[0].count("2026-11-23T12:00:0") == 5
