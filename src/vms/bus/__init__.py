"""The one door to NATS, and its twin within one process.

`Bus` is the contract (contract.py); `NatsBus` carries it between processes, `MemoryBus` within one. `LocalServer`
and `LocalClient` work without either: requests over a Unix socket between processes of one machine.
docs/architecture/bus.md says why.

Belongs here: carrying messages, values and events. Does not: what they are (vms.proto), what they mean (the services).
"""

from vms.bus.address import BusAddress
from vms.bus.contract import Bus, Entry, EventStream, KeyValue, Subscription
from vms.bus.errors import (
    BusUnavailable,
    RemoteConflict,
    RemoteError,
    RemoteInvalidInput,
    RemoteNotFound,
    RemoteUnavailable,
    pack_error,
    raise_error,
)

__all__ = [
    "Bus",
    "BusAddress",
    "BusUnavailable",
    "Entry",
    "EventStream",
    "KeyValue",
    "RemoteConflict",
    "RemoteError",
    "RemoteInvalidInput",
    "RemoteNotFound",
    "RemoteUnavailable",
    "Subscription",
    "pack_error",
    "raise_error",
]
