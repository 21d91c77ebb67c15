"""The configuration on its way to worker processes: in memory alone, each role getting what it needs.

A worker inherits a descriptor of a sealed memory file (memfd_create(2)) with its part of the configuration, the
token in it included; nothing is written to a disk. A role whose part did not change need not be restarted.

Belongs here: which role needs what, and carrying it. Does not: validation (vms.config).
"""

import fcntl
import json
import os
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from vms.config import Config, is_loopback, parse_config

_SECTIONS: Mapping[str, Mapping[str, Any]] = {  # as pydantic's `include` takes them
    "media": {
        "data_dir": True,
        "http": {"host"},
        "webrtc": {"port", "addresses"},
        "storage": True,
        "site": True,
        "bus": True,
    },
    "stream": {
        "data_dir": True,
        "http": True,
        "webrtc": {"port", "addresses"},
        "rtsp": True,
        "transcode": {"streams"},
        "storage": {"volumes"},
        "bus": True,
    },
    "quic": {
        "data_dir": True,
        "http": {"host", "tls"},
        "webtransport": True,
        "transcode": {"streams"},
        "bus": True,
    },
    "srt": {"data_dir": True, "http": {"host"}, "srt": True, "transcode": {"streams"}, "bus": True},
    "api": {
        "data_dir": True,
        "http": True,
        "webrtc": {"ice_servers"},
        "rtsp": True,
        "transcode": {"streams"},
        "webtransport": {"port"},
        "srt": {"port", "host", "passphrase", "enabled"},
        "storage": {"volumes", "classes"},
        "site": True,
        "bus": True,
    },
    "keeper": {"data_dir": True, "storage": {"volumes"}, "bus": True},
    "render": {"data_dir": True, "storage": {"volumes"}, "bus": True},
    "transcode": {"data_dir": True, "transcode": True, "bus": True},
}
_MOST_BYTES = 1 << 20
_NO_TOKEN = "the-token-is-not-told"  # noqa: S105 - this is none
"""In the token's place where a role needs the host alone: it would not be valid by itself, and a new token is no reason
to restart what records."""


def write_settings(config: Config, role: str) -> int:
    """A descriptor of what a worker of `role` needs; sealed, so that it stays as it is."""
    descriptor = os.memfd_create(f"vms-{role}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, settings(config, role))
    fcntl.fcntl(
        descriptor,
        fcntl.F_ADD_SEALS,
        fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL,
    )
    return descriptor


def settings(config: Config, role: str) -> bytes:
    """The part of the configuration that `role` needs, secrets included: for memory alone."""
    part = _plain(config.model_dump(include=dict(_SECTIONS[role])))
    if role in ("media", "quic", "srt") and not is_loopback(config.http.host):
        part["http"]["token"] = _NO_TOKEN
    return json.dumps(part).encode()


def holds(descriptor: int, config: Config, role: str) -> bool:
    """Whether a descriptor of an earlier life holds what `role` needs now."""
    return os.pread(descriptor, _MOST_BYTES, 0) == settings(config, role)


def read_settings(descriptor: int) -> Config:
    """What `write_settings` wrote; the rest is as by default."""
    return parse_config(json.loads(os.pread(descriptor, _MOST_BYTES, 0)), "settings")


def _plain(value: Any) -> Any:
    """Values as the configuration's file has them."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool) else str(value)
