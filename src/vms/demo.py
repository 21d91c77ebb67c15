"""The demo: the whole system beside virtual cameras in a process of their own, as real ones would be."""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from vms.app.places import Places
from vms.app.processes import allow_many_files, stop_signal
from vms.bus.local import LocalClient
from vms.common.errors import Unavailable
from vms.proto import worker_pb2

START_S = 30.0


async def run_demo(files: tuple[Path, ...], *, cameras: int, data_dir: Path, port: int) -> None:
    """Start cameras and system, print where to look, run until SIGINT or SIGTERM."""
    console = Console()
    stopped = stop_signal()
    allow_many_files()
    console.print(f"starting {cameras} virtual cameras …")
    async with _virtual_cameras(files, cameras) as urls, _system(urls, data_dir, port) as (system, url):
        console.print(f"recording into [bold]{data_dir}[/]")
        console.print(f"open [bold cyan]{url}[/] in a browser; stop with Ctrl+C")
        console.print(f"[dim]vms status --data-dir {data_dir} shows its processes[/]")
        ended = asyncio.create_task(system.wait())
        asked = asyncio.create_task(stopped.wait())
        await asyncio.wait((ended, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if ended.done():
            raise Unavailable(f"the system has ended with status {system.returncode}; its messages are above")
        ended.cancel()
        console.print("closing the recordings …")


@asynccontextmanager
async def _system(
    urls: list[str], data_dir: Path, port: int
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The whole system as `vms serve` runs it, and its URL; ended in order behind the block."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = data_dir / "demo.yaml"
    config.write_text(json.dumps(_config(urls, data_dir, port)))  # JSON is YAML
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "vms", "serve", "--config", str(config), "--log-level", "warning"),
        start_new_session=True,  # Ctrl+C is ours; the system is told in turn
    )
    try:
        yield process, await _url(process, Places(data_dir))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _url(process: asyncio.subprocess.Process, places: Places) -> str:
    supervisor = LocalClient(places.control("supervisor"))
    try:
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                with contextlib.suppress(Unavailable):
                    info = worker_pb2.SystemInfo.FromString(await supervisor.call("system"))
                    if info.ready:
                        return info.url
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unavailable(f"the system did not start in {START_S:.0f} s; its messages are above") from None
    finally:
        supervisor.close()
    raise Unavailable("the system could not start; its message is above")


def _config(urls: list[str], data_dir: Path, port: int) -> dict[str, Any]:
    cameras = [
        {"id": f"demo-{number}", "name": f"Demo camera {number}", "source": url, "sub_source": f"{url}/sub"}
        for number, url in enumerate(urls, 1)
    ]
    volumes = [{"path": str(data_dir / "recordings"), "quota": "5GiB"}]
    return {
        "data_dir": str(data_dir),
        "http": {"port": port},
        "webrtc": {"port": 0},
        "storage": {"volumes": volumes},
        "cameras": cameras,
    }


@asynccontextmanager
async def _virtual_cameras(files: tuple[Path, ...], count: int) -> AsyncIterator[list[str]]:
    what = [str(path) for path in files] or ["--pattern"]
    command = ["-m", "vms", "camera", *what, "--count", str(count), "--sub", "--port", "0"]
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
        urls += re.findall(r"rtsp://\S+/camera-\d+$", line.decode().strip())  # its sub stream is behind that
        if len(urls) == count:
            return urls
    raise Unavailable("the virtual cameras ended at once; their message is above")
