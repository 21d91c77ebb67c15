"""The render role over its control socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux
from tests.storage.render.rendering import Renderer

from vms.bus.local import LocalServer
from vms.common.clock import NS
from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable
from vms.common.ids import CameraId
from vms.storage.render import ExportOrder
from vms.storage.render.control import RenderControl, render_methods
from vms.storage.render.job_rules import MOST_JOBS


@pytest.fixture
async def far(renderer: Renderer, tmp_path: Path) -> AsyncIterator[RenderControl]:
    """The renderer's service, over a socket."""
    server = LocalServer(tmp_path / "render.sock", render_methods(renderer.service))
    await server.start()
    client = RenderControl(tmp_path / "render.sock")
    yield client
    client.close()
    await server.stop()


async def test_pictures_come_over_the_socket_as_they_are(
    shelf: Shelf, renderer: Renderer, far: RenderControl, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    near = renderer.service
    assert await far.thumbnail(PORCH, NOON_NS, 160) == await near.thumbnail(PORCH, NOON_NS, 160)
    asked = PORCH, NOON_NS - 8 * NS, NOON_NS + 12 * NS, 10, 80
    strip = await far.strip(*asked)
    assert strip == await near.strip(*asked)
    assert strip.times_ns[0] is None


async def test_jobs_come_over_the_socket_as_they_are(
    shelf: Shelf, renderer: Renderer, far: RenderControl, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    order = ExportOrder(
        (PORCH,),
        NOON_NS,
        NOON_NS + NS,
        exact=True,
        burn_in="Asia/Kathmandu",
        archive=True,
        title="título",
        note="n",
        asked_by="ana",
        names={PORCH: "Varanda"},
    )
    made = await far.create(order)
    assert made.order == order
    done = await renderer.ended(made.id)
    assert done.file_name is not None
    (listed,) = await far.jobs()
    assert listed == await far.job(made.id)
    for field in ("state", "progress", "size_bytes", "error", "created_ns", "finished_ns", "expires_ns"):
        assert getattr(listed, field) == getattr(done, field)
    assert (listed.file_name, listed.verified) == (done.file_name, done.verified)
    await far.cancel(made.id)
    with pytest.raises(NotFound, match=made.id):
        await far.job(made.id)


async def test_errors_keep_their_kind_and_words(shelf: Shelf, renderer: Renderer, far: RenderControl) -> None:
    with pytest.raises(NotFound, match="no recordings"):
        await far.thumbnail(CameraId("attic"), NOON_NS, 160)
    with pytest.raises(InvalidInput, match="80 to 640"):
        await far.thumbnail(PORCH, NOON_NS, 1)
    with pytest.raises(InvalidInput, match="1 to 32"):
        await far.create(ExportOrder((), NOON_NS, NOON_NS + NS))
    with pytest.raises(NotFound):
        await far.cancel("no-such-job")
    renderer.service.exports._jobs |= {str(n): None for n in range(MOST_JOBS)}  # type: ignore[misc]
    with pytest.raises(Conflict, match="delete some"):
        await far.create(ExportOrder((PORCH,), NOON_NS, NOON_NS + NS))
    renderer.service.exports._jobs.clear()


async def test_while_nobody_listens_it_is_unavailable(tmp_path: Path) -> None:
    client = RenderControl(tmp_path / "render.sock")
    with pytest.raises(Unavailable):
        await client.thumbnail(PORCH, NOON_NS, 160)
    with pytest.raises(Unavailable):
        await client.jobs()


async def test_a_question_that_is_cancelled_here_is_not_decoded_there(
    shelf: Shelf, renderer: Renderer, far: RenderControl, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    thumbnails = renderer.service.thumbnails
    async with asyncio.timeout(20):
        async with thumbnails.turns.turn():
            asked = asyncio.create_task(far.thumbnail(PORCH, NOON_NS, 160))
            while not thumbnails.turns._waiting:
                await asyncio.sleep(0.001)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            while thumbnails.turns._waiting:
                await asyncio.sleep(0.001)
        assert (await far.thumbnail(PORCH, NOON_NS + NS, 160)).time_ns == NOON_NS + NS
    assert thumbnails.decoded == 1


async def test_many_questions_at_once_are_answered_or_refused_the_newest_first(
    shelf: Shelf, renderer: Renderer, far: RenderControl, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    asked = [far.thumbnail(PORCH, NOON_NS + n % 12 * NS, 80 + 16 * (n // 12)) for n in range(60)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(answer, Unavailable) for answer in refused)
    assert not isinstance(answers[-1], BaseException), "the newest one is answered"
    assert len(refused) < 20
