"""Media between processes, and to RTSP players: hubs served over RTSP, and hubs made of what is served.

`RelayServer` serves the hubs of a process that pulls cameras to our own processes, exactly; `RelayPool` gives a
process the hubs of others; `PublicRtsp` serves hubs to anybody's players.

Belongs here: access units ↔ RTP as the relay agrees on it, subscriptions on demand.
Does not: RTSP and RTP themselves (vms.wire), cameras (vms.ingest), browsers (vms.stream).
"""

from vms.relay.address import RelayAddress, TcpAddress, UnixAddress
from vms.relay.lease import HubLease
from vms.relay.pool import RelayPool
from vms.relay.public import PublicRtsp
from vms.relay.server import RelayServer

__all__ = ["HubLease", "PublicRtsp", "RelayAddress", "RelayPool", "RelayServer", "TcpAddress", "UnixAddress"]
