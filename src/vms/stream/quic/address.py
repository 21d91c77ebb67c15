"""Where WebTransport is served: the path of a camera, and what its process tells the one that hands addresses out.

Belongs here: addresses, without aioquic, which who hands them out need not load. Does not: tokens (vms.stream.http).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vms.bus.address import write_private
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName


@dataclass(frozen=True, slots=True)
class WebTransportAt:
    """Where it is served. certificate_hashes: SHA-256 in base64; empty when browsers trust the certificate anyway."""

    port: int
    certificate_hashes: Sequence[str] = ()

    def save(self, path: Path) -> None:
        """Raises OSError."""
        write_private(path, json.dumps({"port": self.port, "hashes": list(self.certificate_hashes)}))

    @classmethod
    def load(cls, path: Path) -> "WebTransportAt | None":
        """What was saved; None when it is not served now."""
        try:
            found = json.loads(path.read_text())
            return cls(int(found["port"]), [str(each) for each in found["hashes"]])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def webtransport_path(camera_id: CameraId, stream: StreamName, token: str) -> str:
    """Path and query of a camera's live view; the scheme is https."""
    return f"/api/live/{camera_id}?stream={stream.value}&token={token}"
