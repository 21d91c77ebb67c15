"""RTSP over TCP for the fan-out bench: its players, our server, GStreamer's.

A player sets up as RFC 2326 says and then walks the interleaved packets, in clear, for pictures that are
whole. When they arrived is the kernel's time of the newest bytes of a read.

Belongs here: one protocol. Does not: WebRTC (_fanout_viewers), figures (fanout_protocols).
"""

import re
import socket
import struct
import subprocess
import time
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from bench._fanout_feeder import free_port, run_feeder
from bench._fanout_pictures import Load, Seen, number_of, pace_until
from bench._fanout_players import SO_TIMESTAMPNS, Notes, receive
from bench._fanout_servers import CAMERA, FedSide, ProcessSide, PushedStream
from vms.relay import HubLease, PublicRtsp
from vms.stream.hubs import OwnHub
from vms.telemetry.logs import configure_logs

GSTREAMER = Path(__file__).parents[1] / "tests/fixtures/gst_rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"  # has GStreamer's bindings
PIPELINE = (
    "udpsrc port={port} buffer-size=4000000 "
    'caps="application/x-rtp,media=video,clock-rate=90000,encoding-name=H264" '
    "! rtph264depay ! rtph264pay name=pay0 pt=96 aggregate-mode=zero-latency"
)
ANSWER_TIMEOUT_S = 5.0
_INTERLEAVED = struct.Struct(">BBH")


class RtspPlayer:
    """One player of one stream; connects and plays in the constructor. Raises OSError when it cannot."""

    def __init__(self, url: str, seen: Seen) -> None:
        host, port = url.split("/")[2].split(":")
        self._url = url
        self._notes = Notes(seen)
        self._rest = b""
        self._sequence = 0
        self.socket = socket.create_connection((host, int(port)), ANSWER_TIMEOUT_S)
        described = self._ask("DESCRIBE", url, "Accept: application/sdp")
        control = re.findall(r"^a=control:(\S+)", described, re.MULTILINE)[-1]
        track = control if control.startswith("rtsp://") else f"{url}/{control}"
        set_up = self._ask("SETUP", track, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        session = re.search(r"^Session: *([^;\s]+)", set_up, re.MULTILINE | re.IGNORECASE)
        assert session, "the answer to SETUP names no session"
        self._ask("PLAY", url, f"Session: {session[1]}", "Range: npt=0-")
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._walk(time.time_ns())

    def readable(self) -> None:
        received = receive(self.socket)
        if received is None:
            return
        data, arrived_ns = received
        self._rest = self._rest + data if self._rest else data
        self._walk(arrived_ns)

    def _walk(self, arrived_ns: int) -> None:
        data, at = self._rest, 0
        while at + 4 <= len(data):
            _, channel, length = _INTERLEAVED.unpack_from(data, at)
            end = at + 4 + length
            if end > len(data):
                break
            if channel == 0 and data[at + 5] & 0x80:
                self._notes.picture(number_of(data[at + 16 : end]), arrived_ns)
            at = end
        self._rest = data[at:]

    def _ask(self, method: str, url: str, *headers: str) -> str:
        """The answer, head and body; what comes behind it stays in `_rest`."""
        self._sequence += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._sequence}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        packets, data = b"", b""
        while (end := _answer_end(data)) is None:
            data += self._receive()
            while (length := _packet_bytes(data)) is not None:  # some come before the answer to PLAY
                packets, data = packets + data[:length], data[length:]
        answer = data[:end].decode()
        if not answer.startswith("RTSP/1.0 200"):
            raise ConnectionError(f"{method}: {answer}")
        self._rest = packets + data[end:]
        return answer

    def _receive(self) -> bytes:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server ended a player's connection")
        return data


def _answer_end(data: bytes) -> int | None:
    """Where the answer that `data` begins with ends; None when it is not complete."""
    head = data.find(b"\r\n\r\n")
    if data[:1] == b"$" or head < 0:
        return None
    length = re.search(rb"^Content-Length: *(\d+)", data[:head], re.MULTILINE | re.IGNORECASE)
    end = head + 4 + (int(length[1]) if length else 0)
    return end if end <= len(data) else None


def _packet_bytes(data: bytes) -> int | None:
    """How long the interleaved packet is that `data` begins with; None when it begins with none, or a part."""
    if data[:1] != b"$" or len(data) < 4:
        return None
    length = 4 + int.from_bytes(data[2:4], "big")
    return length if length <= len(data) else None


class OurRtsp(ProcessSide):
    """Our public RTSP server on a hub of its own process."""

    def __init__(self, load: Load) -> None:
        port = free_port(socket.SOCK_STREAM)
        self.url = f"rtsp://127.0.0.1:{port}/{CAMERA}"
        super().__init__(run_server, load, port)


class GStreamerRtsp(FedSide):
    """GStreamer's RTSP server, one shared pipeline fed by RTP over UDP."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load

    def start(self) -> None:
        port = free_port()
        launch = PIPELINE.format(port=port)
        command = [SYSTEM_PYTHON, str(GSTREAMER), launch, "--shared", "--transport", "tcp"]
        self.url = self._run("GStreamer's RTSP server", command)
        self._feed(run_feeder, port, self._load.frame_bytes)


def run_server(pipe: Connection, load: Load, port: int) -> None:
    configure_logs(json=False, level="warning")
    uvloop.run(_serve(pipe, load, port))


async def _serve(pipe: Connection, load: Load, port: int) -> None:
    stream = PushedStream(load.frame_bytes)

    async def resolve(*_: object) -> HubLease:
        return OwnHub(stream.hub)

    server = PublicRtsp(resolve, stream.clock, token=None, port=port)
    await server.start()
    await pace_until(pipe, stream.push)


def gstreamer_available() -> bool:
    check = 'import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer'
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
