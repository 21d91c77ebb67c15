"""A screen without a monitor, Xvfb, whose pixels are memory of this process: looking at them costs next to nothing, and
what draws on them does not know.

The file that Xvfb keeps its pixels in is an X window dump (XWDFile.h, version 7): a header of 32-bit numbers, big endian,
then 12 bytes for each colour of a map, then the rows.

Belongs here: the screen. Does not: what draws on it, and what is to be seen there.
"""

import mmap
import os
import select
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

PROGRAM = "Xvfb"
CHANNELS = 4
"""Bytes a pixel: blue, green, red and one more."""
START_S = 20.0
_HEADER = struct.Struct(">25I")
_SHARED_MEMORY = Path("/dev/shm")  # where no disk is behind the file


class Screen:
    """`width` × `height` pixels, black, of a display of its own; ends with the context.

    Within the context: environment, for programs that are to draw on it; stride, bytes a row.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.environment: dict[str, str] = {}
        self.stride = 0
        self._begin = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._pixels: mmap.mmap | None = None

    def __enter__(self) -> Self:
        memory = str(_SHARED_MEMORY) if _SHARED_MEMORY.is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="bench-screen-", dir=memory)
        try:
            display = self._start()
            self._map(Path(self._folder.name) / "Xvfb_screen0")
        except BaseException:
            self.__exit__()
            raise
        self.environment = {"DISPLAY": f":{display}"}
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        if self._pixels is not None:
            self._pixels.close()
        self._folder.cleanup()

    def rows(self, begin: int, end: int) -> bytes:
        """The pixels of the rows from `begin` up to `end`, as they are now."""
        assert self._pixels is not None
        return self._pixels[self._begin + begin * self.stride : self._begin + end * self.stride]

    def _start(self) -> str:
        """Start it; the number of the display that it found free."""
        ours, theirs = os.pipe()
        command = [PROGRAM, "-displayfd", str(theirs), "-fbdir", self._folder.name, "-terminate"]
        command += ["-screen", "0", f"{self.width}x{self.height}x24"]
        with os.fdopen(ours) as told:
            try:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs])
            finally:
                os.close(theirs)
            ready, _, _ = select.select([told], [], [], START_S)
            display = told.readline().strip() if ready else ""
        if not display:
            sys.exit(f"bench: {PROGRAM} does not start; its message is above")
        return display

    def _map(self, path: Path) -> None:
        with path.open("rb") as file:
            self._pixels = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        header = _HEADER.unpack_from(self._pixels)
        header_bytes, version, width, height = header[0], header[1], header[4], header[5]
        bits, self.stride, colours = header[11], header[12], header[19]
        self._begin = header_bytes + 12 * colours
        found = (version, width, height, bits)
        if found != (7, self.width, self.height, 8 * CHANNELS):
            sys.exit(f"bench: {PROGRAM} gave a screen that is not as asked for: {found}")
