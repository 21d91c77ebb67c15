"""Rendering costs next to nothing while nothing is asked of it, and lets everything else go first when something is."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux
from tests.storage.render.rendering import Renderer

from vms.common.clock import NS
from vms.storage.render import ExportOrder
from vms.storage.render.priority import NICENESS

_TASKS = Path("/proc/self/task")


def threads() -> dict[int, tuple[int, int]]:
    """Of each thread of this process: its niceness, and the ticks of CPU that it has had (proc_pid_stat(5))."""
    found = {}
    for task in _TASKS.iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        found[int(task.name)] = int(fields[16]), int(fields[11]) + int(fields[12])
    return found


async def test_whatever_decodes_and_encodes_is_nice_also_the_threads_of_codecs(
    shelf: Shelf, renderer: Renderer, movie: Path
) -> None:
    shelf.record(demux(movie))
    before = threads()
    worked: dict[int, int] = {}
    job = await renderer.service.create(ExportOrder((PORCH,), NOON_NS, NOON_NS + 12 * NS, burn_in="UTC"))
    pictures = [renderer.service.thumbnail(PORCH, NOON_NS + n * NS, 80 + 16 * n) for n in range(12)]
    answered = asyncio.gather(*pictures)
    async with asyncio.timeout(60):
        while not renderer.service.exports.get(job.id).state.ended or not answered.done():
            # Files are opened by the loop's own threads, which decode and encode nothing.
            others = {each.native_id for each in threading.enumerate() if each.name.startswith("asyncio_")}
            for thread, (niceness, ticks) in threads().items():
                if thread not in before and thread not in others and ticks:
                    worked[thread] = niceness
            await asyncio.sleep(0.002)
    await answered
    assert len(worked) > 2, "the export's thread, and those that encode"
    assert set(worked.values()) == {NICENESS}
    assert os.getpriority(os.PRIO_PROCESS, 0) < NICENESS, "what else runs in this process is not nice"


def test_the_role_that_waits_has_no_codecs_in_its_memory() -> None:
    script = "import sys; import vms.app.render, vms.app.worker; print([m for m in ('av', 'numpy') if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout == "[]\n"
