"""HLS for the fan-out bench: our server, and nginx with the files that ffmpeg writes.

Both have segments of 2 s as fragmented MP4 and answer over plain HTTP/1.1 with connections that are kept. Ours makes
its segments and the addresses of each playlist, with a token in them, itself; ffmpeg's part is not counted as nginx's,
and told beside it.

Belongs here: servers. Does not: players (_fanout_hls_players), figures (fanout_protocols).
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import uvloop

from bench._fanout_feeder import free_port
from bench._fanout_pictures import Load, allow_many_files, cpu_ns, pace_until
from bench._fanout_servers import CAMERA, BenchProcess, ProcessSide, PushedStream
from bench._fanout_websocket import SECRET, TOKEN_LIFETIME_NS, give_messages
from bench._processes import tree
from vms.stream.hls import HlsService, UrlTokens, hls_path
from vms.stream.http.http1 import HttpServer
from vms.stream.http.listener import TcpFront
from vms.stream.http.request import Router
from vms.stream.http.token import WATCH, mint
from vms.stream.hubs import own_hubs
from vms.stream.websocket.messages import MEDIA_HEADER_BYTES
from vms.telemetry.logs import configure_logs

START_S = 20.0
PACKAGER = (
    *(
        "ffmpeg",
        "-nostdin",
        "-v",
        "fatal",
        "-fflags",
        "nobuffer",
        "-probesize",
        "32",
        "-analyzeduration",
        "0",
    ),
    *("-f", "mp4", "-i", "feed", "-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_list_size", "6"),
    *(
        "-hls_flags",
        "delete_segments+temp_file",
        "-hls_segment_type",
        "fmp4",
        "-hls_segment_filename",
        "%d.m4s",
    ),
    "index.m3u8",
)
NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    types {{ application/vnd.apple.mpegurl m3u8; video/mp4 mp4 m4s; }}
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {folder};
        location ~ m3u8$ {{ add_header cache-control no-store; }}
    }}
}}
"""


class OurHls(ProcessSide):
    """Our service on a hub of its own process."""

    def __init__(self, load: Load) -> None:
        port = free_port(socket.SOCK_STREAM)
        token = mint(SECRET, CAMERA, WATCH, time.time_ns() + TOKEN_LIFETIME_NS)
        self.url = f"http://127.0.0.1:{port}{hls_path(CAMERA)}?token={token}"
        super().__init__(run_hls_server, load, port)


class NginxHls:
    """nginx, ffmpeg that writes its files, and the process that gives ffmpeg the stream.

    packager_cpu: of ffmpeg, of one core; once it is stopped.
    """

    def __init__(self, load: Load) -> None:
        self.packager_cpu = 0.0
        port = free_port(socket.SOCK_STREAM)
        self.url = f"http://127.0.0.1:{port}/index.m3u8"
        self._folder = Path(tempfile.mkdtemp(prefix="vms-bench-"))
        self._folder.chmod(0o755)  # nginx's worker is another user where this is root
        (self._folder / "nginx.conf").write_text(NGINX.format(port=port, folder=self._folder))
        feed = self._folder / "feed"
        os.mkfifo(feed)
        self._feeder = BenchProcess(run_stream_feeder, str(feed), load.frame_bytes)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        allow_many_files()
        try:
            self._run(*PACKAGER)
            self._feeder.start()
            self._packager = self._processes[0].pid, cpu_ns(self._processes[0].pid), time.monotonic()
            self._run(_nginx(), "-p", str(self._folder), "-c", "nginx.conf", "-e", "stderr")
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._feeder.end()
        for process in reversed(self._processes):
            process.terminate()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of the worker: it alone serves."""
        return next(pid for pid in tree(self._processes[1].pid) if pid != self._processes[1].pid)

    def stop(self) -> list[int]:
        pid, spent_ns, since_s = self._packager
        self.packager_cpu = round((cpu_ns(pid) - spent_ns) / 1e9 / (time.monotonic() - since_s), 4)
        return self._feeder.stop()

    def _run(self, *command: str) -> None:
        self._processes.append(subprocess.Popen(command, cwd=self._folder, stdin=subprocess.DEVNULL))

    def _wait(self) -> None:
        """Until there is something to serve."""
        deadline = time.monotonic() + START_S
        while not (self._folder / "index.m3u8").exists() or len(tree(self._processes[1].pid)) < 2:
            if time.monotonic() > deadline or any(each.poll() is not None for each in self._processes):
                sys.exit("bench: nginx or ffmpeg does not start; its message is above")
            time.sleep(0.1)


def nginx_available() -> bool:
    return shutil.which("ffmpeg") is not None and Path(_nginx()).exists()


def _nginx() -> str:
    return shutil.which("nginx") or "/usr/sbin/nginx"  # not in everybody's PATH


def run_hls_server(pipe: Connection, load: Load, port: int) -> None:
    configure_logs(json=False, level="warning")
    uvloop.run(_serve(pipe, load, port))


async def _serve(pipe: Connection, load: Load, port: int) -> None:
    stream = PushedStream(load.frame_bytes)
    router = Router()
    HlsService(own_hubs(lambda *_: stream.hub), stream.clock, UrlTokens(SECRET, stream.clock)).route(router)
    await TcpFront(HttpServer(router).connection).start(["127.0.0.1"], port)
    await pace_until(pipe, stream.push)


def run_stream_feeder(pipe: Connection, path: str, frame_bytes: int) -> None:
    """Write the stream as fragmented MP4, a fragment a picture."""
    configure_logs(json=False, level="warning")
    uvloop.run(_feed(pipe, path, frame_bytes))


async def _feed(pipe: Connection, path: str, frame_bytes: int) -> None:
    with Path(path).open("wb", buffering=0) as to_packager:
        fd = to_packager.fileno()
        await give_messages(pipe, frame_bytes, lambda _, message: os.write(fd, message[MEDIA_HEADER_BYTES:]))
