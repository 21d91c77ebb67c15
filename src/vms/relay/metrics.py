"""Counters of servers and subscriptions as metrics; none is labelled by camera or client.

Belongs here: names and texts. Does not: counting.
"""

from collections.abc import Iterable
from typing import Protocol

from vms.telemetry.metrics import MetricFamily, MetricKind
from vms.wire.rtsp.server import RtspServer


class Served(Protocol):
    """What a server's streams count."""

    @property
    def players(self) -> int: ...

    @property
    def units_refused(self) -> int: ...


def server_metrics(prefix: str, server: RtspServer, served: Served) -> Iterable[MetricFamily]:
    """Of an RTSP server. prefix: vms_relay or vms_rtsp."""
    sent = server.sent
    yield gauge(f"{prefix}_connections", "clients that are connected", server.connection_count)
    yield gauge(f"{prefix}_players", "clients that are being sent to", served.players)
    for name, text, value in (
        ("connections_refused", "connections beyond the limit", server.connections_refused),
        ("credentials_refused", "requests with wrong credentials", server.credentials_refused),
        ("crashes", "requests that ended in an internal error", server.crashes),
        ("units_refused", "access units that RTP cannot carry", served.units_refused),
        ("packets_sent", "RTP packets sent", sent.packets),
        ("bytes_sent", "bytes of media sent", sent.bytes),
        ("overruns", "times a client was too slow and passed over to the next key picture", sent.overruns),
        ("datagrams_refused", "datagrams that the kernel did not take", sent.datagrams_refused),
    ):
        yield counter(f"{prefix}_{name}", text, value)


def gauge(name: str, text: str, value: float) -> MetricFamily:
    return MetricFamily(name, MetricKind.GAUGE, text, (), [((), float(value))])


def counter(name: str, text: str, value: float) -> MetricFamily:
    return MetricFamily(name, MetricKind.COUNTER, text, (), [((), float(value))])
