"""How often one address may show a wrong token: a token bucket an address, bounded in number."""

from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from vms.common.clock import NS, Clock
from vms.telemetry.metrics import MetricFamily, MetricKind

BURST = 5
REFILL_S = 10
_ADDRESSES_MAX = 4096


class FailureLimit:
    """`BURST` failures at once, then one every `REFILL_S` seconds. `failures` counts all."""

    def __init__(self, clock: Clock) -> None:
        self.failures = 0
        self._clock = clock
        # Address → the monotonic time at which all its failures are forgotten (GCRA).
        self._forgotten_ns: OrderedDict[str, int] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Whole seconds that the address has to wait before its next try; 0 when it may try now."""
        earliest_ns = self._forgotten_ns.get(_client(address), 0) - (BURST - 1) * REFILL_S * NS
        return max(0, -((self._clock.monotonic_ns() - earliest_ns) // NS))

    def failed(self, address: str) -> None:
        """Count a failure of the address."""
        self.failures += 1
        client, now_ns = _client(address), self._clock.monotonic_ns()
        self._forgotten_ns[client] = max(self._forgotten_ns.get(client, 0), now_ns) + REFILL_S * NS
        self._forgotten_ns.move_to_end(client)
        if len(self._forgotten_ns) > _ADDRESSES_MAX:
            self._forgotten_ns.popitem(last=False)

    def metrics(self) -> Iterable[MetricFamily]:
        yield MetricFamily(
            "vms_http_login_failures",
            MetricKind.COUNTER,
            "wrong tokens at POST /session",
            (),
            [((), self.failures)],
        )


def _client(address: str) -> str:
    """What one client can be taken for: an IPv6 host commands all 2⁶⁴ addresses of its network."""
    try:
        host = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return host.exploded[:19] if isinstance(host, IPv6Address) else str(host)
