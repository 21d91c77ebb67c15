"""Ports for programs that must be told theirs, by tests that run beside others.

A port that the kernel chose and that was let go again may be given to anybody's next connection before the program
binds it. These lie below the range from which the kernel chooses (net.ipv4.ip_local_port_range: from 32768).
"""

import random
import socket

_LOWEST, _HIGHEST = 15_000, 32_000
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port of `host` that nobody uses now, neither of TCP nor of UDP; each is given once."""
    for _ in range(1000):
        port = random.randint(_LOWEST, _HIGHEST)
        if port not in _given and _is_free(host, port):
            _given.add(port)
            return port
    raise OSError(f"no free port of {host} found")


def _is_free(host: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
