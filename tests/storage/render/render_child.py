"""A render service in a process of its own, which begins an export and says when it is under way.

``python -m tests.storage.render.render_child RECORDINGS DATA_DIR``; the recordings are those of a Shelf.
"""

import asyncio
import os
import sys
from pathlib import Path

from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf
from tests.storage.render.rendering import Renderer

from vms.common.clock import NS
from vms.format.hybrid import read_segment
from vms.storage.render import ExportOrder
from vms.storage.segment import describe


async def main(folder: Path, data_dir: Path) -> None:
    shelf = Shelf(folder)
    for path in folder.glob("*.mp4"):
        descriptor = os.open(path, os.O_RDONLY)
        file = read_segment(lambda at, size, fd=descriptor: os.pread(fd, size, at), path.stat().st_size)  # type: ignore[misc]
        shelf.files[file.identity.segment_id] = describe(path, file)
        os.close(descriptor)
    renderer = Renderer(shelf, data_dir)
    await renderer.start()
    job = await renderer.service.create(ExportOrder((PORCH,), NOON_NS, NOON_NS + 20 * NS, burn_in="UTC"))
    while renderer.service.exports.get(job.id).progress < 0.1:
        await asyncio.sleep(0.01)
    print("under way", flush=True)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
