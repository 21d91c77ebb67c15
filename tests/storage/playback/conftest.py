from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.storage.playback.shelf import Shelf, make_movie

from vms.storage.playback import Playback


@pytest.fixture(scope="session")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s at 25 pictures a second, a key picture each second, B-frames, AAC."""
    return make_movie(tmp_path_factory.mktemp("movie") / "movie.mp4", seconds=12, b_frames=2, sound=True)


@pytest.fixture(scope="session")
def plain_movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s at 10 pictures a second, a key picture each second, no B-frames, no sound."""
    return make_movie(tmp_path_factory.mktemp("movie") / "plain.mp4", seconds=12, fps=10, gop=10)


@pytest.fixture(scope="session")
def sounding_movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 s at 10 pictures a second, a key picture each second, no B-frames, AAC."""
    return make_movie(
        tmp_path_factory.mktemp("movie") / "sounding.mp4", seconds=8, fps=10, gop=10, sound=True
    )


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    assert not shelf.leaked, "files were left open"


@pytest.fixture
async def playback(shelf: Shelf) -> AsyncIterator[Playback]:
    playback = Playback(shelf)
    yield playback
    await playback.stop()
