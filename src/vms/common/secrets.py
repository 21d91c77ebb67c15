"""Secrets at rest: AES-256-GCM under a key that lives in a file beside the database, never in it.

A sealed value is ``version (1 byte = 1) | nonce (12 bytes, random) | ciphertext and tag``. What it is
for is authenticated with it, so a value copied to another row or column does not open.
"""

import asyncio
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vms.common.errors import InvalidInput, Unavailable

KEY_NAME = Path("keys") / "secrets.key"
KEY_BYTES = 32
_KEY_POLL_S = 0.1
_VERSION = b"\x01"
_NONCE_BYTES = 12


class KeyMismatch(Unavailable):
    """The key file does not open what was sealed with the installation's key; going on would lose it."""


class SecretUnreadable(InvalidInput):
    """A sealed value that this key did not seal for this place."""


class Secrets:
    """Seals and opens texts with one 32-byte key; `repr` shows nothing of it."""

    __slots__ = ("_aead", "_key")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._aead = AESGCM(key)

    def seal(self, text: str, purpose: str) -> bytes:
        """`text` encrypted for one purpose, such as ``camera/default/porch/source``."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._aead.encrypt(nonce, text.encode(), purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> str:
        """The text sealed for `purpose`. Raises SecretUnreadable."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise SecretUnreadable(f"{purpose}: is not a sealed value of a version known here")
        try:
            return self._aead.decrypt(nonce, ciphertext, purpose.encode()).decode()
        except InvalidTag:
            raise SecretUnreadable(f"{purpose}: was sealed with another key, or was changed") from None

    def derive(self, purpose: str) -> bytes:
        """32 bytes for another use of this installation's key, unlike for every purpose (RFC 5869)."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(self._key)


def make_key(path: Path) -> Secrets:
    """Make the key file at first run: mode 0600, in a directory of mode 0700, synced.

    It appears whole: other processes wait for it. Raises FileExistsError when there is one: a key is never
    overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = os.urandom(KEY_BYTES)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    finally:
        temporary.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return Secrets(key)


def load_key(path: Path) -> Secrets:
    """The key in the file at `path`. Raises KeyMismatch when it is missing, damaged or open to others."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text().strip()
    except FileNotFoundError:
        raise KeyMismatch(
            f"the key file {path} is missing, and the database holds credentials sealed with it; "
            "restore it from a backup, or move the database away to begin with no cameras"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyMismatch(f"the key file {path} cannot be read: {error}") from error
    if mode & 0o077:
        raise KeyMismatch(
            f"the key file {path} may be read by others (mode {mode:04o}); run: chmod 600 {path}"
        )
    try:
        return Secrets(bytes.fromhex(text))
    except ValueError:
        raise KeyMismatch(
            f"the key file {path} is damaged: it must hold {KEY_BYTES * 2} hexadecimal digits; "
            "restore it from a backup"
        ) from None


async def installation_secrets(data_dir: Path) -> Secrets:
    """The key of the installation in `data_dir`, for processes that do not open the database.

    Waits for the file: on the very first run the gateway makes it. Raises KeyMismatch when it is damaged or
    open to others.
    """
    path = data_dir / KEY_NAME
    while not path.exists():  # noqa: ASYNC110 - it is another process that makes it
        await asyncio.sleep(_KEY_POLL_S)
    return load_key(path)
