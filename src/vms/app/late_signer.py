"""The node's key for whoever may not wait for it: recording begins before keys can be read, or without them.

Belongs here: finding the key when it is needed. Does not: keys (vms.evidence.keys), what is signed (vms.storage).
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from vms.evidence.keys import NodeSigner, installation_signer


class LateSigner:
    """Looks for the key at each use until there is one. Implements vms.format.hybrid.Signer; for threads, it reads files."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = Lock()
        self._found: NodeSigner | None = None

    @property
    def node(self) -> str:
        """Raises EvidenceKeysUnusable."""
        return self._signer().node

    def certificates(self) -> Sequence[bytes]:
        """Raises EvidenceKeysUnusable."""
        return self._signer().certificates()

    def sign(self, data: bytes) -> bytes:
        """Raises EvidenceKeysUnusable."""
        return self._signer().sign(data)

    def _signer(self) -> NodeSigner:
        with self._lock:
            if self._found is None:
                self._found = installation_signer(self._data_dir)
            return self._found
