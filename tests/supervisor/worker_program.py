"""A small worker: its control socket, its journal, its end in order; or what a test wants it to do wrong.

Its environment: JOURNAL, a file that its lines are added to; ENDS_IN_S, how long closing takes; CRASHES, a status to
leave with at once; IGNORES_SIGTERM; ORPHANS, how many grandchildren to abandon; DETAIL, what it says; READY_AFTER, how
many times it says that it is not ready.
"""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import uvloop

from vms.bus.local import LocalServer
from vms.proto import camera_pb2, worker_pb2
from vms.supervisor.child import Seat, StopSignal, end_within


def say(seat: Seat, what: str) -> None:
    with Path(os.environ["JOURNAL"]).open("a") as journal:
        journal.write(f"{what} {seat.worker} {os.getpid()}\n")


async def serve_http(listener: socket.socket, seat: Seat) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(f"{seat.worker} {os.getpid()}\n".encode())
        writer.close()

    return await asyncio.start_server(answer, sock=listener)


def abandon(count: int) -> None:
    """Leave grandchildren without a parent, which then end."""
    for _ in range(count):
        subprocess.run(
            [sys.executable, "-c", "import os, time\nif os.fork() == 0: time.sleep(0.2)"],
            check=True,
        )


async def main() -> None:
    seat = Seat.from_environment()
    stop = StopSignal(seat)
    say(seat, "started")
    if "CRASHES" in os.environ:
        os._exit(int(os.environ["CRASHES"]))
    if "IGNORES_SIGTERM" in os.environ:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, say, seat, "ignored")
    abandon(int(os.environ.get("ORPHANS", "0")))

    asked = itertools.count()

    async def status(_: bytes) -> bytes:
        return worker_pb2.WorkerStatus(
            worker=seat.worker,
            role=seat.role,
            pid=os.getpid(),
            ready=next(asked) >= int(os.environ.get("READY_AFTER", "0")),
            loop_lag_s=0.002,
            cameras=[camera_pb2.CameraStatus(), camera_pb2.CameraStatus()],
            viewers={"yard": 2, "gate": 1},
            detail=os.environ.get("DETAIL", ""),
        ).SerializeToString()

    server = LocalServer(seat.control, {"status": status}, drain_s=0.2)
    await server.start()
    listener = seat.listener("http")
    http = await serve_http(listener, seat) if listener is not None else None
    await stop.wait()
    say(seat, "stopping")

    async def close() -> None:
        await asyncio.sleep(float(os.environ.get("ENDS_IN_S", "0")))
        if http is not None:
            http.close()
        await server.stop()

    await end_within(30, close())
    say(seat, "stopped")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
