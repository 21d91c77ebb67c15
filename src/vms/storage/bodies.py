"""The right body for a file: plain or sealed.

Belongs here: telling the two apart. Does not: reading and writing them (body, sealed).
"""

import os
from collections.abc import Callable

from vms.common.errors import InvalidInput
from vms.storage.body import Body, PlainBody, WritableBody
from vms.storage.keyring import Keyring
from vms.storage.sealed import SealedBody, SealedReader, is_sealed
from vms.storage.sealed_log import MAGIC


def open_body(descriptor: int, keyring: Keyring) -> WritableBody:
    """The body of a recording that exists; `descriptor` is its own from now on, also when this raises.

    Raises OSError, and for encrypted recordings KeyUnknown, and FormatError when their header was changed.
    """
    try:
        if not is_sealed(os.pread(descriptor, len(MAGIC), 0)):
            return PlainBody(descriptor)
        return SealedBody(descriptor, keyring)
    except (OSError, InvalidInput):
        os.close(descriptor)
        raise


def create_body(descriptor: int, keyring: Keyring) -> WritableBody:
    """The body of a new, empty recording: sealed when the volume has a current key, else plain.

    `descriptor` is its own from now on, also when this raises. Raises OSError.
    """
    if keyring.current is None:
        return PlainBody(descriptor)
    try:
        return SealedBody(descriptor, keyring)
    except (OSError, InvalidInput):
        os.close(descriptor)
        raise


def open_reader(
    read_at: Callable[[int, int], bytes],
    size_bytes: int,
    keyring: Keyring,
    close: Callable[[], None] = lambda: None,
) -> Body:
    """The body of a closed recording whose stored bytes, `size_bytes` of them, come from anywhere by range.

    close: lets go of what `read_at` needs; called when the body is closed, not when this raises. Raises what `read_at`
    raises, and for encrypted recordings KeyUnknown and FormatError.
    """
    if is_sealed(read_at(0, len(MAGIC))):
        return SealedReader(read_at, lambda: size_bytes, keyring, close)
    return _Elsewhere(read_at, size_bytes, close)


class _Elsewhere:
    """A plain recording that is not a file of this machine. Implements Body."""

    def __init__(
        self, read_at: Callable[[int, int], bytes], size_bytes: int, close: Callable[[], None]
    ) -> None:
        self.read_at = read_at
        self.size_bytes = size_bytes
        self.close = close
