"""Janus as a peer of the fan-out bench: Debian's server with its streaming plugin, fed by RTP over UDP.

It runs with ICE-lite as we do, with event loops of a fixed number rather than a thread a viewer (its own
advice for many viewers), and keeps the newest key picture for viewers that join. Its API is reached
over a Unix socket.

Belongs here: its configuration, its process, its API as far as a viewer needs it.
Does not: viewers (_fanout_viewers), what feeds it (_fanout_feeder), figures (fanout).
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from bench._fanout_feeder import PAYLOAD_TYPE, free_port
from bench._fanout_pictures import allow_many_files
from bench._viewer import SinkViewer

START_S = 20.0
STARTS = 8  # at most
MOUNTPOINT = 1
_CORE = """
general: {{
    configs_folder = "{folder}"
    debug_level = 2
    session_timeout = 0
    event_loops = {event_loops}
}}
nat: {{
    ice_lite = true
    ice_enforce_list = "{host}"
}}
plugins: {{ disable = "{other_plugins}" }}
transports: {{ disable = "{other_transports}" }}
"""
_SOCKET = """
general: {{ enabled = true, json = "compact", path = "{folder}/api", type = "SOCK_SEQPACKET" }}
admin: {{ admin_enabled = false }}
"""
_STREAM = """
bench: {{
    type = "rtp"
    id = {mountpoint}
    audio = false
    video = true
    videoport = {port}
    videoiface = "127.0.0.1"
    videopt = {payload_type}
    videocodec = "h264"
    videofmtp = "packetization-mode=1;profile-level-id=42e01f"
    videobufferkf = true
}}
"""
_MODULES = Path("/usr/lib/x86_64-linux-gnu/janus")


def available() -> bool:
    return shutil.which("janus") is not None


class Janus:
    """A Janus of its own on configuration files in a temporary folder; ends with the context.

    host: the one address that it offers. event_loops: threads that send; 0 is one a viewer.
    """

    def __init__(self, host: str, *, event_loops: int = 2) -> None:
        self._host = host
        self._event_loops = event_loops
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        allow_many_files()  # which it inherits
        self._folder = tempfile.TemporaryDirectory(prefix="bench-janus-")
        try:
            for _ in range(STARTS):
                if self._start(Path(self._folder.name)):
                    return self
            sys.exit(f"bench: Janus does not start; it said:\n{self._log.read_text()[-2000:]}")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def _start(self, folder: Path) -> bool:
        """Whether it answers; it says now and then that it has no transport, and next time has."""
        self.port = free_port()
        self.api, self._log = folder / "api", folder / "log"
        self._configure(folder)
        command = ["janus", "-F", str(folder), "-C", str(folder / "janus.jcfg"), "--disable-colors"]
        with self._log.open("wb") as log:
            # In its own folder, which goes with it: a crash of it leaves a core file where it was started
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        deadline = time.monotonic() + START_S
        while not self.api.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                return False
            time.sleep(0.05)
        return True

    def _configure(self, folder: Path) -> None:
        names = {
            "janus.jcfg": _CORE,
            "janus.transport.pfunix.jcfg": _SOCKET,
            "janus.plugin.streaming.jcfg": _STREAM,
        }
        for name, text in names.items():
            filled = text.format(
                folder=folder,
                event_loops=self._event_loops,
                host=self._host,
                mountpoint=MOUNTPOINT,
                port=self.port,
                payload_type=PAYLOAD_TYPE,
                other_plugins=_others("plugins", "libjanus_streaming.so"),
                other_transports=_others("transports", "libjanus_pfunix.so"),
            )
            (folder / name).write_text(filled)

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class JanusSignalling:
    """One session with a handle a viewer: attach, watch, its offer, start with our answer."""

    def __init__(self, api: Path) -> None:
        self._api = api
        self._viewers: list[SinkViewer] = []
        self._numbers: dict[int, int] = {}  # of viewers, by handle
        self._offers: dict[int, str] = {}

    def open(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(str(self._api))
        self._send({"janus": "create", "transaction": "session"})
        self._session = self._receive()["data"]["id"]

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, viewer: SinkViewer) -> None:
        number = len(self._viewers)
        self._viewers.append(viewer)
        plugin = "janus.plugin.streaming"
        self._send({"janus": "attach", "plugin": plugin, "transaction": f"attach {number}"})

    def readable(self) -> None:
        message = self._receive()
        match message["janus"]:
            case "success":
                handle = message["data"]["id"]
                self._numbers[handle] = int(message["transaction"].split()[1])
                self._message(handle, {"request": "watch", "id": MOUNTPOINT})
            case "event" if "error" in message["plugindata"]["data"]:
                raise ConnectionError(f"Janus: {message['plugindata']['data']['error']}")
            case "event" if "jsep" in message:
                self._answer(message["sender"], message["jsep"]["sdp"])
            case "event" if message["plugindata"]["data"].get("result", {}).get("status") == "starting":
                number = self._numbers[message["sender"]]
                self._viewers[number].accept(self._offers.pop(number))
            case "error":
                raise ConnectionError(f"Janus: {message['error']['reason']}")
            case "timeout" | "hangup" | "detached":
                raise ConnectionError(f"Janus ended a viewer: {message}")

    def _answer(self, handle: int, offer: str) -> None:
        number = self._numbers[handle]
        self._offers[number] = offer
        answer = self._viewers[number].answer(offer)
        self._message(handle, {"request": "start"}, {"type": "answer", "sdp": answer})

    def _message(self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None) -> None:
        message = {"janus": "message", "handle_id": handle, "transaction": "m", "body": body}
        self._send(message | ({"jsep": jsep} if jsep else {}))

    def _send(self, message: dict[str, Any]) -> None:
        if hasattr(self, "_session"):
            message["session_id"] = self._session
        self._socket.send(json.dumps(message).encode())

    def _receive(self) -> dict[str, Any]:
        data = self._socket.recv(1 << 17)
        if not data:
            raise ConnectionError("Janus ended the connection to its API")
        message: dict[str, Any] = json.loads(data)
        return message


def _others(kind: str, wanted: str) -> str:
    return ",".join(path.name for path in sorted((_MODULES / kind).glob("*.so")) if path.name != wanted)
