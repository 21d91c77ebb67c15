"""One ordinary MP4 out of the recordings of a range, assembled while it is sent.

What is kept is where every sample lies, in flat arrays; no media is read before it is sent, and nothing is
written. Gaps are closed up: the movie is as long as what was recorded.

Belongs here: from a cut list to a body of bytes. Does not: boxes (vms.format.mp4), HTTP (vms.api).
"""

import asyncio
from collections.abc import AsyncIterable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from vms.common.clock import rfc3339
from vms.format.errors import FormatError
from vms.format.mp4.progressive import MovieBuilder, MovieRun
from vms.storage.playback.cutlist import Cut
from vms.storage.playback.download import Body, Download
from vms.storage.playback.errors import RecordingDamaged
from vms.storage.playback.files import HeldFiles
from vms.storage.playback.samples import read_cut


@dataclass(frozen=True, slots=True)
class ExportExtent:
    """What an export shows: wall clock of its first key picture and of its end, and its breaks."""

    start_ns: int
    end_ns: int
    breaks: int


class Export(Download):
    """An MP4 of a range, moov first.

    start_ns: wall clock of the key picture that it begins with. end_ns: of its end. breaks: how many
    gaps were closed up.
    """

    def __init__(
        self,
        body: Body,
        etag: str,
        shown: ExportExtent,
        *,
        files: HeldFiles,
        executor: Executor,
        released: Callable[[], None],
    ) -> None:
        super().__init__(body, files, executor, etag, released)
        self.start_ns = shown.start_ns
        self.end_ns = shown.end_ns
        self.breaks = shown.breaks


async def assemble(
    cuts: AsyncIterable[list[Cut]], files: HeldFiles, executor: Executor
) -> tuple[Body, str, ExportExtent] | None:
    """The body, entity tag and extent of an export of `cuts`; None when nothing is in them.

    `files` takes over their files. Python code runs in the executor one file at a time, so that the event
    loop gets its turn in between.
    """
    loop = asyncio.get_running_loop()
    movie = MovieBuilder()
    start_ns: int | None = None
    end_ns = breaks = 0
    async for file_cuts in cuts:
        place = len(files.segment_ids)
        try:
            for cut in file_cuts:
                await loop.run_in_executor(executor, _add, movie, place, cut)
                if start_ns is None:
                    start_ns = cut.start_ns
                elif not cut.joined:
                    breaks += 1
                end_ns = min(cut.end_ns, cut.until_ns)
        except BaseException:
            file_cuts[0].opened.close()
            raise
        files.add(file_cuts[0].opened.without_index())
    if start_ns is None:
        return None
    body, etag = await loop.run_in_executor(executor, _build, movie, files)
    return body, etag, ExportExtent(start_ns, end_ns, breaks)


def _add(movie: MovieBuilder, place: int, cut: Cut) -> None:
    """Runs in a thread, one cut at a time."""
    try:
        movie.add(MovieRun(place, read_cut(cut)))
    except (FormatError, OSError) as error:
        raise RecordingDamaged(
            f"recording {cut.opened.segment.id} ({rfc3339(cut.start_ns)} to {rfc3339(cut.end_ns)}) cannot be "
            f"read: {error}; ask for a range without it"
        ) from error


def _build(builder: MovieBuilder, files: HeldFiles) -> tuple[Body, str]:
    """Runs in a thread."""
    movie = builder.finish()
    body = Body(movie.header, movie.extents)
    digest = body.digest()
    for segment_id in files.segment_ids:
        digest.update(segment_id.bytes)
    return body, digest.hexdigest()[:32]
