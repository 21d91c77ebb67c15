"""UDP sockets: one send that becomes many datagrams, its fallback, and a kernel without room."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest

from vms.wire.webrtc.udp import UdpPort

LOOPBACK = IPv4Address("127.0.0.1")


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        yield receiver


@pytest.fixture
def port() -> Iterator[UdpPort]:
    port = UdpPort(LOOPBACK, 0)
    yield port
    port.close()


def segments(count: int = 5, size: int = 1000, last: int = 300) -> list[bytes]:
    """Header and payload by turns."""
    sizes = [size] * (count - 1) + [last]
    return [part for at, size in enumerate(sizes) for part in (bytes([at]) * 20, bytes([at]) * size)]


def send(port: UdpPort, buffers: list[bytes], to: tuple[str, int]) -> bool:
    segment = len(buffers[0]) + len(buffers[1])
    return port.send_segments(buffers, len(buffers) // 2, segment, sum(map(len, buffers)), to)


class ScriptedSocket:
    """A socket whose sends fail as told; what succeeds goes to the real one."""

    def __init__(self, real: socket.socket, failures: list[int | None]) -> None:
        self.real, self.failures = real, failures

    def sendmsg(self, *arguments: object) -> int:
        failure = self.failures.pop(0) if self.failures else None
        if failure == errno.EAGAIN:
            raise BlockingIOError(failure, "no room")
        if failure is not None:
            raise OSError(failure, "refused")
        return self.real.sendmsg(*arguments)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


@pytest.mark.parametrize("gso", [True, False])
def test_a_batch_arrives_as_the_datagrams_it_is_made_of(gso: bool, receiver: socket.socket) -> None:
    port = UdpPort(LOOPBACK, 0, gso=gso)
    buffers = segments()
    assert send(port, buffers, receiver.getsockname())
    expected = [buffers[at] + buffers[at + 1] for at in range(0, len(buffers), 2)]
    assert [receiver.recv(2000) for _ in expected] == expected
    assert (port.datagrams_sent, port.bytes_sent) == (5, sum(map(len, buffers)))
    assert port.sends == (1 if port.gso else 5)
    port.close()


@pytest.mark.parametrize("failure", [errno.EIO, errno.EINVAL, errno.ENOTSUP])
def test_a_kernel_that_refuses_gso_is_never_asked_again(
    failure: int, port: UdpPort, receiver: socket.socket
) -> None:
    port.gso = True
    port.socket = ScriptedSocket(port.socket, [failure])
    assert send(port, segments(3), receiver.getsockname())
    assert not port.gso
    assert [len(receiver.recv(2000)) for _ in range(3)] == [1020, 1020, 320]
    assert port.refused == 0


def test_a_send_without_a_route_counts_as_a_lost_packet(port: UdpPort, receiver: socket.socket) -> None:
    port.socket = ScriptedSocket(port.socket, [errno.ENETUNREACH, errno.EPERM])
    assert port.send(b"x", receiver.getsockname())
    assert send(port, segments(3), receiver.getsockname())
    assert port.refused == 2


async def test_a_socket_without_room_says_so_and_calls_back_once_when_it_has_room(
    port: UdpPort, receiver: socket.socket
) -> None:
    port.open(asyncio.get_running_loop(), lambda *_: None)
    port.socket = ScriptedSocket(port.socket, [errno.EAGAIN])
    assert not send(port, segments(3), receiver.getsockname())
    assert port.blocked
    called: list[int] = []
    writable = asyncio.Event()

    def callback() -> None:
        called.append(1)
        writable.set()

    port.when_writable(callback)
    port.when_writable(callback)
    await asyncio.wait_for(writable.wait(), 20)
    assert called == [1]
    assert not port.blocked
    assert send(port, segments(3), receiver.getsockname())


async def test_datagrams_are_given_on_with_their_source(port: UdpPort, receiver: socket.socket) -> None:
    arrived: asyncio.Queue[tuple[bytes, object]] = asyncio.Queue()
    port.open(asyncio.get_running_loop(), lambda _, datagram, source: arrived.put_nowait((datagram, source)))
    for number in range(40):
        receiver.sendto(bytes([number]), ("127.0.0.1", port.port))
    for number in range(40):
        assert await asyncio.wait_for(arrived.get(), 20) == (bytes([number]), receiver.getsockname())


def test_ipv6_and_ipv4_share_a_port_number() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    four = UdpPort(LOOPBACK, 0)
    try:
        six = UdpPort(IPv6Address("::1"), four.port)
    except OSError as error:
        four.close()
        pytest.skip(f"no IPv6 loopback on this machine: {error}")
    assert six.port == four.port
    four.close()
    six.close()
