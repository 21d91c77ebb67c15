"""One ordinary MP4 out of the recordings of a range, assembled while it is sent, with the proof of what is in it.

Its media are whole fragments of recordings, byte for byte; an edit list hides what was not asked for. The evidence box
behind them says which they are and carries what their recorders signed, so that the export can be verified by itself
(docs/architecture/evidence.md). What is kept is where every sample lies, in flat arrays, and the evidence; no media is
read before it is sent, and nothing is written. Gaps are closed up: the movie is as long as what was recorded.

Belongs here: from a cut list to a body of bytes. Does not: boxes (vms.format.mp4), HTTP (vms.api).
"""

import asyncio
from collections.abc import AsyncIterable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from vms.common.clock import rfc3339
from vms.format.errors import FormatError
from vms.format.hybrid import evidence_source
from vms.format.mp4.evidence_box import EvidenceSource, Insertion, Piece, build_evidence_box
from vms.format.mp4.progressive import MovieBuilder, MoviePiece, MovieRun
from vms.storage.playback.cutlist import Cut
from vms.storage.playback.download import Body, Download
from vms.storage.playback.errors import RecordingDamaged
from vms.storage.playback.files import HeldFiles
from vms.storage.playback.samples import WholeCut, read_whole


@dataclass(frozen=True, slots=True)
class ExportExtent:
    """What an export shows: wall clock of its first picture and of its end, and its breaks."""

    start_ns: int
    end_ns: int
    breaks: int


class Export(Download):
    """An MP4 of a range, moov first.

    start_ns: wall clock of the picture that it begins with. end_ns: of its end. breaks: how many
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


@dataclass(slots=True)
class _Assembly:
    """An export being put together. Methods that read files run in a thread, one at a time.

    exact_ns: begin with the picture shown then; None: with the key picture before. spans: of each piece the number of
    its source and its fragments. A cut is added when the next one comes: where the last one ends, so does the movie.
    """

    exact_ns: int | None
    movie: MovieBuilder = field(default_factory=MovieBuilder)
    sources: list[EvidenceSource] = field(default_factory=list)
    spans: list[tuple[int, int, int]] = field(default_factory=list)
    start_ns: int | None = None
    end_ns: int = 0
    breaks: int = 0
    _newest: tuple[int, Cut, WholeCut] | None = None

    def wants(self, cut: Cut) -> bool:
        """Whether anything of it is to be shown."""
        return self.exact_ns is None or cut.end_ns > self.exact_ns

    def add(self, place: int, cut: Cut) -> None:
        """Raises RecordingDamaged."""
        try:
            whole = read_whole(cut, self.exact_ns if self.start_ns is None else None)
        except (FormatError, OSError) as error:
            raise _damaged(cut, error) from error
        self._lay_down(last=False)
        self._newest = place, cut, whole
        if self.start_ns is None:
            self.start_ns = whole.from_ns
        elif not cut.joined:
            self.breaks += 1
        self.end_ns = min(cut.end_ns, cut.until_ns)

    def _lay_down(self, *, last: bool) -> None:
        """Put the newest cut into the movie. Raises RecordingDamaged."""
        if self._newest is None:
            return
        place, cut, whole = self._newest
        fragments, tables = cut.file.fragments, whole.ended() if last else whole.tables
        start, end = fragments[whole.first].offset, fragments[whole.last - 1].end
        try:
            added = self.movie.add(MovieRun(place, tables, start, end, whole.from_s, whole.until_s))
        except FormatError as error:
            raise _damaged(cut, error) from error
        if added:
            self.spans.append((place, whole.first, whole.last))
        self._newest = None

    def take_proof(self, cut: Cut) -> None:
        """Of the file of a cut, which becomes the next source. Raises RecordingDamaged."""
        try:
            self.sources.append(evidence_source(cut.opened.read_at, cut.file))
        except (FormatError, OSError) as error:
            raise _damaged(cut, error) from error

    def build(self, files: HeldFiles) -> tuple[Body, str]:
        """The body and its entity tag. Raises RecordingDamaged."""
        self._lay_down(last=True)
        movie = self.movie.finish()
        pieces = [_piece(*each) for each in zip(self.spans, movie.pieces, strict=True)]
        evidence = build_evidence_box(self.sources, pieces)
        movie.extents.extend(evidence, 0, len(evidence))
        body = Body(movie.header, movie.extents)
        digest = body.digest()
        for segment_id in files.segment_ids:
            digest.update(segment_id.bytes)
        return body, digest.hexdigest()[:32]


async def assemble(
    cuts: AsyncIterable[list[Cut]], files: HeldFiles, executor: Executor, *, exact_ns: int | None = None
) -> tuple[Body, str, ExportExtent] | None:
    """The body, entity tag and extent of an export of `cuts`; None when nothing is in them.

    exact_ns: begin with the picture shown then. `files` takes over their files. Python code runs in the executor one
    file at a time, so that the event loop gets its turn in between.
    """
    loop = asyncio.get_running_loop()
    assembly = _Assembly(exact_ns)
    async for file_cuts in cuts:
        place = len(files.segment_ids)
        wanted = [cut for cut in file_cuts if assembly.wants(cut)]
        try:
            for cut in wanted:
                await loop.run_in_executor(executor, assembly.add, place, cut)
            if wanted:
                await loop.run_in_executor(executor, assembly.take_proof, wanted[0])
        except BaseException:
            file_cuts[0].opened.close()
            raise
        if wanted:
            files.add(file_cuts[0].opened.without_index())
        else:
            file_cuts[0].opened.close()
    if assembly.start_ns is None:
        return None
    body, etag = await loop.run_in_executor(executor, assembly.build, files)
    return body, etag, ExportExtent(assembly.start_ns, assembly.end_ns, assembly.breaks)


def _piece(span: tuple[int, int, int], laid: MoviePiece) -> Piece:
    places = laid.insertions
    insertions = tuple(map(Insertion, places[::2], places[1::2]))
    return Piece(*span, laid.offset, laid.size, insertions)


def _damaged(cut: Cut, error: Exception) -> RecordingDamaged:
    return RecordingDamaged(
        f"recording {cut.opened.segment.id} ({rfc3339(cut.start_ns)} to {rfc3339(cut.end_ns)}) cannot be "
        f"read: {error}; ask for a range without it"
    )
