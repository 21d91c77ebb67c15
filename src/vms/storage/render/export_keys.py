"""Whether the files of exports are encrypted, and with which key.

Where any volume is encrypted, all that exports write is: what a camera records may go to another volume while an export
of it is made, so the footage of a job cannot be told beforehand. The key is that of the first encrypted volume, in the
configured order, that the job's footage is on; where all of it is unencrypted, that of the first encrypted volume. So
whoever may open an export could open recordings of that volume, and whoever finds the disk of data_dir alone can open
nothing.

Belongs here: choosing keys. Does not: loading one (keyring), files (export_files). All functions block.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from vms.config import VolumeConfig
from vms.storage.bodies import open_body
from vms.storage.body import Body
from vms.storage.keyring import Keyring, KeyUnknown, KeyUnusable, load_keyring
from vms.storage.segment import Segment


class ExportKeys:
    """Keys of the configured volumes, loaded with every use: a file of keys that comes back needs no restart."""

    def __init__(self, volumes: Sequence[VolumeConfig] = ()) -> None:
        self._encrypted = [volume for volume in volumes if volume.encryption is not None]

    def choose(self, footage: Iterable[Segment]) -> Keyring:
        """To write an export of `footage` with; without a current key where no volume is encrypted.

        Raises KeyUnusable when none of the keys can be had: nothing is written in the clear instead.
        """
        paths = [segment.path for segment in footage]
        problem: KeyUnusable | None = None
        for volume in sorted(self._encrypted, key=lambda each: not _holds_any(each, paths)):
            try:
                return load_keyring(volume.encryption)
            except KeyUnusable as error:
                problem = problem or error
        if problem is not None:
            raise problem
        return Keyring()

    def open(self, path: Path) -> Body:
        """A finished file. Raises OSError, KeyUnusable, KeyUnknown, and FormatError when it was changed."""
        keys: dict[bytes, bytes] = {}
        problem: KeyUnusable | None = None
        for volume in self._encrypted:
            try:
                keys.update(load_keyring(volume.encryption).keys)
            except KeyUnusable as error:
                problem = problem or error
        try:
            return open_body(os.open(path, os.O_RDONLY | os.O_CLOEXEC), Keyring(keys))
        except KeyUnknown as error:
            if problem is not None:
                raise problem from error
            raise


def _holds_any(volume: VolumeConfig, paths: Iterable[Path]) -> bool:
    root = volume.path.absolute()
    return any(path.is_relative_to(root) for path in paths)
