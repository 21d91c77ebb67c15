"""The demo: the whole system beside virtual cameras in a process of their own, as real ones would be."""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from vms.app import System, allow_many_files, stop_signal
from vms.common.errors import Unavailable
from vms.config import Config, parse_config

START_S = 30.0


async def run_demo(files: tuple[Path, ...], *, cameras: int, data_dir: Path, port: int) -> None:
    """Start cameras and system, print where to look, run until SIGINT or SIGTERM."""
    console = Console()
    stopped = stop_signal()
    allow_many_files()
    console.print(f"starting {cameras} virtual cameras …")
    async with _virtual_cameras(files, cameras) as urls:
        system = System(_config(urls, data_dir, port))
        await system.start()
        try:
            console.print(f"recording into [bold]{data_dir}[/]")
            console.print(f"open [bold cyan]{system.url}[/] in a browser; stop with Ctrl+C")
            await stopped.wait()
        finally:
            console.print("closing the recordings …")
            await system.stop()


def _config(urls: list[str], data_dir: Path, port: int) -> Config:
    cameras = [
        {"id": f"demo-{number}", "name": f"Demo camera {number}", "source": url}
        for number, url in enumerate(urls, 1)
    ]
    volumes = [{"path": data_dir / "recordings", "quota": "5GiB"}]
    tree = {
        "data_dir": data_dir,
        "http": {"port": port},
        "webrtc": {"port": 0},
        "storage": {"volumes": volumes},
        "cameras": cameras,
    }
    return parse_config(tree, "demo")


@asynccontextmanager
async def _virtual_cameras(files: tuple[Path, ...], count: int) -> AsyncIterator[list[str]]:
    what = [str(path) for path in files] or ["--pattern"]
    command = ["-m", "vms", "camera", *what, "--count", str(count), "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl+C stops the system first, and the cameras after it
    )
    try:
        yield await asyncio.wait_for(_urls(process, count), START_S)
    except TimeoutError as error:
        raise Unavailable(
            f"the virtual cameras did not start in {START_S:.0f} s; run `vms {' '.join(command[2:])}`"
        ) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _urls(process: asyncio.subprocess.Process, count: int) -> list[str]:
    assert process.stdout is not None
    urls: list[str] = []
    async for line in process.stdout:
        urls += re.findall(r"rtsp://\S+", line.decode())
        if len(urls) == count:
            return urls
    raise Unavailable("the virtual cameras ended at once; their message is above")
