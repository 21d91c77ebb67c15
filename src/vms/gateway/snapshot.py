"""The file from which a media process records with nothing else running: its own cameras, sources sealed.

    | 20 bytes              | 32 bytes             | the rest                  |
    | "VMS media snapshot 1" | SHA-256 of the rest | MediaSnapshot (protobuf) |

The digest is there because protobuf takes a file that was cut off for one with fewer cameras.

Belongs here: one file, written durably and read back whole or not at all. Does not: when (agent).
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.message import DecodeError

from vms.common.errors import InvalidInput
from vms.proto.camera_pb2 import CameraSpec, MediaSnapshot

_MAGIC = b"VMS media snapshot 1"
_DIGEST_BYTES = 32


class SnapshotDamaged(InvalidInput):
    """The file is not what was written, or another process's; the text says what to do."""


def read_snapshot(path: Path, worker: str) -> Sequence[CameraSpec]:
    """The cameras of `worker` in the file; none where there is no file. Raises SnapshotDamaged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SnapshotDamaged(f"snapshot {path}: {error.strerror}") from error
    digest, body = data[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES], data[len(_MAGIC) + _DIGEST_BYTES :]
    if not data.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        raise SnapshotDamaged(f"snapshot {path} is damaged; it is written anew when the registry is reached")
    try:
        snapshot = MediaSnapshot.FromString(body)
    except DecodeError:
        raise SnapshotDamaged(f"snapshot {path} is of another version of this system") from None
    if snapshot.worker != worker:
        raise SnapshotDamaged(f"snapshot {path} belongs to {snapshot.worker}, not to {worker}")
    return list(snapshot.cameras)


def write_snapshot(path: Path, worker: str, cameras: Sequence[CameraSpec], written_ns: int) -> None:
    """Replace the file: mode 0600, synced, whole at any moment. Blocks. Raises OSError."""
    body = MediaSnapshot(worker=worker, cameras=cameras, written_ns=written_ns).SerializeToString()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_MAGIC + hashlib.sha256(body).digest() + body)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
