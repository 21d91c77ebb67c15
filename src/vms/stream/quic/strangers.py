"""Connections without a session: few, so that whoever opens many cannot keep those out who may watch.

Belongs here: how many there may be, and which end for others. Does not: connections (connection), viewers (service).
"""

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import Generic, Protocol, TypeVar

MAX_STRANGERS = 32
MAX_OF_A_HOST = 8
"""Beyond either the oldest is ended: who means to watch asks for it at once."""
MAX_WITH_ENDING = 24
"""Of a host, with those that are ended: QUIC keeps each for three timeouts more (RFC 9000 §10.2)."""


class Stranger(Protocol):
    """A connection, until it has a session. host: see `host_of`."""

    @property
    def host(self) -> str: ...


S = TypeVar("S", bound=Stranger)


class Strangers(Generic[S]):
    """Iterates over those that are not ended, oldest first."""

    def __init__(self) -> None:
        self._here: dict[S, None] = {}
        self._ending: set[S] = set()
        self._of_host: Counter[str] = Counter()

    def __iter__(self) -> Iterator[S]:
        return iter(self._here)

    def __len__(self) -> int:
        return len(self._here)

    def takes(self, host: str) -> bool:
        """Whether a host may open one more."""
        return self._of_host[host] < MAX_WITH_ENDING

    def add(self, stranger: S) -> S | None:
        """One more, not known before; what is given back is to be ended for it."""
        self._here[stranger] = None
        self._of_host[stranger.host] += 1
        of_host = [each for each in self._here if each.host == stranger.host]
        if len(of_host) > MAX_OF_A_HOST:
            return of_host[0]
        return next(iter(self._here)) if len(self._here) > MAX_STRANGERS else None

    def ended(self, stranger: S) -> None:
        """It was ended, and is still kept by QUIC; without effect when it is none."""
        if stranger in self._here:
            del self._here[stranger]
            self._ending.add(stranger)

    def forget(self, stranger: S) -> None:
        """It has a session, or is gone for good; without effect when it is none."""
        if stranger in self._here or stranger in self._ending:
            self._here.pop(stranger, None)
            self._ending.discard(stranger)
            self._of_host[stranger.host] -= 1
            if not self._of_host[stranger.host]:
                del self._of_host[stranger.host]


def host_of(address: str) -> str:
    """Whom an IP address is counted as: itself, or of IPv6 the network of 64 bits that one subscriber has."""
    found = ip_address(address.partition("%")[0])
    return found.packed[:8].hex() if isinstance(found, IPv6Address) else str(found)
