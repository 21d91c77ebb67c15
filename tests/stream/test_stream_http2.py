"""HTTP/2 over TLS at the stream worker: clients that mean well, and those who do not."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from vms.common.errors import Unavailable
from vms.common.tls import server_context
from vms.stream.http.h2 import MAX_STREAMS
from vms.stream.http.http1 import HttpServer
from vms.stream.http.listener import TcpFront
from vms.stream.http.request import Request, Response, Router
from vms.stream.http.tls import tls_connections

BIG = bytes(range(256)) * 8192  # 2 MiB: many windows


class Worker:
    """front, server: what is tested. certificate: what a client has to trust. cancelled: handlers that were."""

    def __init__(self, front: TcpFront, server: HttpServer, certificate: Path) -> None:
        self.front = front
        self.server = server
        self.certificate = certificate
        self.waiting = 0
        self.cancelled = 0
        self.go = asyncio.Event()
        self.secure: list[bool] = []
        self.clients: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"https://localhost:{self.front.port}"

    async def echo(self, request: Request) -> Response:
        self.secure.append(request.secure)
        return Response(headers={"x-path": request.path}, body=request.query.get("say", "").encode())

    async def big(self, request: Request) -> Response:
        return Response(body=[BIG[:1000], b"", BIG[1000:]])

    async def slow(self, request: Request) -> Response:
        self.waiting += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Response(body=b"at last")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", *kind.split(), *names.split(), "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture
async def worker(certificate: tuple[Path, Path]) -> AsyncIterator[Worker]:
    router = Router()
    server = HttpServer(router)
    front = TcpFront(server.connection, tls=tls_connections(server_context(*certificate), server))
    await front.start(["127.0.0.1"], 0)
    worker = Worker(front, server, certificate[0])
    router.add("/echo/{rest}", worker.echo)
    router.add("/big", worker.big)
    router.add("/slow", worker.slow)
    yield worker
    for writer in worker.clients:
        writer.transport.abort()
        with suppress(OSError):
            await asyncio.wait_for(writer.wait_closed(), 20)
    worker.go.set()
    await front.stop()
    server.close()


async def curl(worker: Worker, *arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "--cacert", worker.certificate, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors
    return out


@pytest.mark.needs("curl")
@pytest.mark.parametrize(("option", "version"), [("--http2", b"2"), ("--http1.1", b"1.1")])
async def test_curl_gets_the_same_over_either_version(worker: Worker, option: str, version: bytes) -> None:
    out = await curl(worker, option, "-w", "|%{http_version}", f"{worker.url}/echo/a?say=hello")
    assert out == b"hello|" + version
    assert worker.secure == [True]


@pytest.mark.needs("curl")
async def test_a_large_body_comes_whole_to_many_at_a_time(worker: Worker, tmp_path: Path) -> None:
    urls = [each for number in range(8) for each in (f"{worker.url}/big", "-o", str(tmp_path / str(number)))]
    await curl(worker, "--http2", "--parallel", *urls)
    assert all((tmp_path / str(number)).read_bytes() == BIG for number in range(8))


async def test_plain_http_goes_on_beside_tls(worker: Worker) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.front.port)
    writer.write(b"GET /echo/a?say=plain HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b"plain")
    writer.close()
    assert worker.secure == [False]


class Client:
    """An HTTP/2 client that does as it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration())
        self.h2.initiate_connection()
        self.events: list[h2.events.Event] = []
        self.closed = False

    @classmethod
    async def connect(cls, worker: Worker) -> "Client":
        context = ssl.create_default_context(cafile=worker.certificate)
        context.set_alpn_protocols(["h2"])
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", worker.front.port, ssl=context, server_hostname="localhost"
        )
        worker.clients.append(writer)
        return cls(reader, writer)

    def ask(self, path: str) -> int:
        number = self.h2.get_next_available_stream_id()
        head = [(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", "localhost")]
        self.h2.send_headers(number, head, end_stream=True)
        return number

    def send(self) -> None:
        self.writer.write(self.h2.data_to_send())

    async def until(self, kind: type[h2.events.Event]) -> h2.events.Event:
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                data = await self.reader.read(65536)
                if not data:
                    self.closed = True
                    raise ConnectionResetError
                self.events += self.h2.receive_data(data)
                self.send()


async def test_a_client_that_opens_no_window_gets_no_more_than_it_allows(worker: Worker) -> None:
    client = await Client.connect(worker)
    number = client.ask("/big")
    client.send()
    received = 0
    while received < 65_535:
        event = await client.until(h2.events.DataReceived)
        client.events.remove(event)
        assert isinstance(event, h2.events.DataReceived)
        received += len(event.data)
    assert received == 65_535
    client.h2.increment_flow_control_window(10_000)
    client.h2.increment_flow_control_window(10_000, number)
    client.send()
    while received < 75_535:
        event = await client.until(h2.events.DataReceived)
        client.events.remove(event)
        assert isinstance(event, h2.events.DataReceived)
        received += len(event.data)
    assert received == 75_535
    client.writer.close()


async def test_a_request_that_is_reset_is_not_answered_any_more(worker: Worker) -> None:
    client = await Client.connect(worker)
    number = client.ask("/slow")
    client.send()
    while not worker.waiting:
        await asyncio.sleep(0)
    client.h2.reset_stream(number)
    client.send()
    async with asyncio.timeout(20):
        while not worker.cancelled:
            await asyncio.sleep(0)
    client.writer.close()


async def test_rapid_resets_end_the_connection(worker: Worker) -> None:
    """CVE-2023-44487."""
    client = await Client.connect(worker)
    for _ in range(1000):
        client.h2.reset_stream(client.ask("/slow"))
    client.send()
    event = await client.until(h2.events.ConnectionTerminated)
    assert isinstance(event, h2.events.ConnectionTerminated)
    assert event.error_code == 0xB  # ENHANCE_YOUR_CALM
    async with asyncio.timeout(20):
        while worker.server.connections:
            await asyncio.sleep(0.01)
    assert worker.waiting < 500


async def test_a_flood_of_pings_ends_the_connection(worker: Worker) -> None:
    client = await Client.connect(worker)
    for _ in range(1000):
        client.h2.ping(b"flooding")
    client.send()
    await client.until(h2.events.ConnectionTerminated)


async def test_no_more_requests_at_a_time_than_are_allowed(worker: Worker) -> None:
    client = await Client.connect(worker)
    client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 10_000
    client.h2.remote_settings.acknowledge()
    for _ in range(MAX_STREAMS + 20):
        client.ask("/slow")
    client.send()
    await client.until(h2.events.ConnectionTerminated)
    assert worker.waiting <= MAX_STREAMS


@pytest.mark.parametrize("data", [b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x16\x03" + bytes(70_000)])
async def test_what_is_no_handshake_is_put_off(worker: Worker, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.front.port)
    writer.write(data)
    if len(data) > 1:
        async with asyncio.timeout(20):
            try:
                while await reader.read(4096):
                    pass
            except ConnectionError:
                pass
    writer.close()
    assert not worker.server.connections


async def test_what_is_no_http2_within_tls_is_put_off(worker: Worker) -> None:
    client = await Client.connect(worker)
    client.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 100)
    async with asyncio.timeout(20):
        while await client.reader.read(4096):
            pass
    assert worker.server.malformed == 1
    client.writer.close()


@pytest.mark.parametrize("broken", ["absent", "of another key", "no certificate"])
def test_a_certificate_that_cannot_be_used_says_so(
    certificate: tuple[Path, Path], tmp_path: Path, broken: str
) -> None:
    path, key = certificate
    if broken == "absent":
        path = tmp_path / "absent.pem"
    elif broken == "of another key":
        key = tmp_path / "other.pem"
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True
        )
    else:
        path = key
    with pytest.raises(Unavailable, match=r"http\.tls needs a PEM certificate"):
        server_context(path, key)


async def test_a_request_that_never_ends_ends_the_connection(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.stream.http.h2.REQUEST_S", 0.05)
    client = await Client.connect(worker)
    head = [(":method", "POST"), (":path", "/echo/a"), (":scheme", "https"), (":authority", "localhost")]
    client.h2.send_headers(client.h2.get_next_available_stream_id(), head)
    client.send()
    with pytest.raises(ConnectionResetError):
        await client.until(h2.events.ConnectionTerminated)


async def test_a_client_that_takes_nothing_ends_its_connection_though_it_pings(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.stream.http.h2.STALL_S", 0.2)
    client = await Client.connect(worker)
    client.ask("/big")
    client.send()
    with pytest.raises(ConnectionResetError):
        while True:
            client.h2.ping(b"stillher")
            client.send()
            event = await client.until(h2.events.PingAckReceived)
            client.events.remove(event)
            await asyncio.sleep(0.05)
