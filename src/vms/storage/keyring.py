"""The keys that a volume's encrypted recordings are read and written with."""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vms.common.errors import InvalidInput, Unavailable
from vms.config import EncryptionConfig, KeySource

KEY_BYTES = 32
KEY_ID_BYTES = 8


class KeyUnusable(Unavailable):
    """A key of a volume is missing, damaged or open to others; nothing is written unencrypted instead."""


class KeyUnknown(InvalidInput):
    """A recording is encrypted with a key that is not configured; its text names the key's id, never a key."""


def key_id(key: bytes) -> bytes:
    """What names a key in files: the first 8 bytes of its SHA-256."""
    return hashlib.sha256(key).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Keyring:
    """keys: by id. current: the id of the key that new recordings are encrypted with; None: they are not encrypted.

    `repr` shows no key.
    """

    keys: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    current: bytes | None = None

    def key(self, id_: bytes) -> bytes:
        """Raises KeyUnknown."""
        found = self.keys.get(id_)
        if found is None:
            raise KeyUnknown(
                f"it is encrypted with the key {id_.hex()}, which is not configured; name it in encryption.previous"
            )
        return found


def load_keyring(config: EncryptionConfig | None) -> Keyring:
    """The keys that a configuration names. Raises KeyUnusable."""
    if config is None:
        return Keyring()
    current = load_key(config)
    keys = {key_id(key): key for key in (*map(load_key, config.previous), current)}
    return Keyring(keys, key_id(current))


def load_key(source: KeySource) -> bytes:
    """Raises KeyUnusable."""
    if source.key_env is not None:
        name = f"the environment variable {source.key_env}"
        data = os.environ.get(source.key_env, "").encode()
        if not data:
            raise KeyUnusable(f"{name} is not set; it must hold the key of a volume")
    else:
        assert source.key_file is not None
        name = f"the key file {source.key_file}"
        try:
            mode = stat.S_IMODE(source.key_file.stat().st_mode)
            data = source.key_file.read_bytes()
        except OSError as error:
            raise KeyUnusable(f"{name} cannot be read: {error.strerror}; restore it from a backup") from error
        if mode & 0o077:
            raise KeyUnusable(
                f"{name} may be read by others (mode {mode:04o}); run: chmod 600 {source.key_file}"
            )
    if len(data) == KEY_BYTES:
        return data
    try:
        key = bytes.fromhex(data.decode().strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyUnusable(
            f"{name} must hold {KEY_BYTES * 2} hexadecimal digits; make one with: vms volume-key new FILE"
        )
    return key


def new_key_file(path: Path) -> bytes:
    """Make a file with a new random key that only its owner may read; gives the key. Raises KeyUnusable."""
    key = os.urandom(KEY_BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise KeyUnusable(
            f"{path} exists already, and a key must never be overwritten; name another file"
        ) from error
    except OSError as error:
        raise KeyUnusable(f"{path} cannot be made: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key
