"""The keys of a volume for a process that only reads it.

A key that cannot be had now hides encrypted recordings alone: what lies there unencrypted is read as ever. It is looked
for again with every use, so that a file of keys that comes back needs no restart.

Belongs here: loading them when they are needed. Does not: where they come from (keyring), what is encrypted (bodies).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vms.config import EncryptionConfig
from vms.storage.keyring import Keyring, KeyUnknown, KeyUnusable, load_keyring
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


class VolumeKeys:
    """Any thread may call; it may wait for the disk that the keys are on."""

    def __init__(self, config: EncryptionConfig | None) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._loaded: Keyring | None = None
        self._problem: KeyUnusable | None = None

    def keyring(self) -> Keyring:
        """The keys; an empty one when they cannot be had now, which is logged."""
        with self._lock:
            if self._loaded is None:
                try:
                    self._loaded = load_keyring(self._config)
                    self._problem = None
                except KeyUnusable as error:
                    if self._problem is None:
                        log.error("encrypted recordings cannot be read", reason=str(error))
                    self._problem = error
                    return Keyring()
            return self._loaded

    @contextmanager
    def explained(self) -> Iterator[None]:
        """A key that is not known because none could be loaded: KeyUnusable says why."""
        try:
            yield
        except KeyUnknown as error:
            if self._problem is not None:
                raise self._problem from error
            raise
