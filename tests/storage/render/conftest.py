from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.storage.playback.shelf import Shelf, make_movie
from tests.storage.render.rendering import Renderer


@pytest.fixture(scope="session")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s at 25 pictures a second, a key picture each second, B-frames, AAC."""
    return make_movie(tmp_path_factory.mktemp("movie") / "movie.mp4", seconds=12, b_frames=2, sound=True)


@pytest.fixture(scope="session")
def plain_movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s at 10 pictures a second, a key picture each second, no B-frames, no sound."""
    return make_movie(tmp_path_factory.mktemp("movie") / "plain.mp4", seconds=12, fps=10, gop=10)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    folder = tmp_path / "recordings"
    folder.mkdir()
    shelf = Shelf(folder)
    yield shelf
    assert not shelf.leaked, "files were left open"


@pytest.fixture
async def renderer(shelf: Shelf, tmp_path: Path) -> AsyncIterator[Renderer]:
    """The render service over the shelf; its data directory is tmp_path / "data"."""
    renderer = Renderer(shelf, tmp_path / "data")
    await renderer.start()
    yield renderer
    await renderer.stop()
