"""Cameras with a password that must show nowhere, and what the tests look at."""

import os
from pathlib import Path

from vms.common.camera import Camera
from vms.common.source_url import SourceUrl

PASSWORD = "Xq7-very-secret-9Zt"


def make_camera(camera_id: str = "porch", **changes: object) -> Camera:
    fields: dict[str, object] = {
        "id": camera_id,
        "name": "Front porch",
        "source": SourceUrl(f"rtsp://admin:{PASSWORD}@192.0.2.10/stream1"),
    }
    return Camera.model_validate({**fields, **changes})


class Changes:
    """Remembers what the registry tells, as (old id and name, new id and name)."""

    def __init__(self) -> None:
        self.seen: list[tuple[Camera | None, Camera | None]] = []

    async def __call__(self, old: Camera | None, new: Camera | None) -> None:
        self.seen.append((old, new))


def bytes_on_disk(data_dir: Path) -> bytes:
    """Everything in the files of the data directory, write-ahead log included."""
    return b"".join(
        (Path(folder) / name).read_bytes() for folder, _, names in os.walk(data_dir) for name in names
    )
