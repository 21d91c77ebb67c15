"""On which addresses WebTransport is served."""

import socket

import pytest
from tests.stream.scripted_stream import Camera
from tests.stream.webtransport_client import SECRET, connected

from vms.common.clock import SystemClock
from vms.common.errors import Unavailable
from vms.stream.hubs import own_hubs
from vms.stream.quic.certificate import make_certificate
from vms.stream.quic.listener import WebTransportListener
from vms.stream.quic.service import WebTransportService


def has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")


@pytest.fixture
def listener() -> WebTransportListener:
    hub = Camera().hub
    service = WebTransportService(
        own_hubs(lambda camera_id: hub), SECRET, SystemClock(), max_viewers=1, hold_ns=0
    )
    listener = WebTransportListener(service)
    listener.show(make_certificate(SystemClock().wall_ns()))
    return listener


async def test_one_port_is_served_over_ipv6_too_where_it_can_be(listener: WebTransportListener) -> None:
    await listener.start(["127.0.0.1"], 0, where_it_can_be=["::1"])
    try:
        async with connected(listener.port), connected(listener.port, host="::1") as client:
            await client.ping()
    finally:
        await listener.stop()


async def test_where_it_cannot_be_it_is_served_without(listener: WebTransportListener) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        other.bind(("::1", 0))
        port = other.getsockname()[1]
        await listener.start(["127.0.0.1"], port, where_it_can_be=["::1"])
        try:
            async with connected(listener.port):
                assert listener.port == port
        finally:
            await listener.stop()


async def test_an_address_that_it_must_be_served_on_and_cannot_is_an_error(
    listener: WebTransportListener,
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match=r"webtransport\.port"):
            await listener.start(["127.0.0.1"], other.getsockname()[1], where_it_can_be=["::1"])
