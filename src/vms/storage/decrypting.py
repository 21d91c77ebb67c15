"""A plain copy of an encrypted recording, for whoever has the key and only the file.

Belongs here: the copy. Does not: exports with times and proofs (playback), the command line (vms.commands).
"""

import os
from pathlib import Path

from vms.common.errors import InvalidInput
from vms.storage.bodies import open_body
from vms.storage.body import PlainBody
from vms.storage.keyring import Keyring

_PIECE_BYTES = 4 << 20


class NotDecrypted(InvalidInput):
    """A file cannot be decrypted; nothing is left of the copy."""


def decrypt_file(source: Path, target: Path, keyring: Keyring) -> int:
    """Write the plaintext of `source` to the new file `target`; gives its size in bytes. Blocks.

    Raises NotDecrypted when it is not encrypted or one of the files cannot be used, KeyUnknown, FormatError when it was
    changed. Then there is no `target`.
    """
    try:
        body = open_body(os.open(source, os.O_RDONLY | os.O_CLOEXEC), keyring)
    except OSError as error:
        raise NotDecrypted(f"{source}: {error.strerror}") from error
    try:
        if isinstance(body, PlainBody):
            raise NotDecrypted(f"{source}: is not encrypted; it can be used as it is")
        # Nobody else's until its owner says so: it was encrypted for a reason
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as copy:
            try:
                size_bytes, at = body.size_bytes, 0
                while at < size_bytes:
                    piece = body.read_at(at, _PIECE_BYTES)
                    if not piece:
                        raise NotDecrypted(f"{source}: became shorter while it was read; try again")
                    copy.write(piece)
                    at += len(piece)
            except BaseException:
                target.unlink()
                raise
        return size_bytes
    except FileExistsError as error:
        raise NotDecrypted(f"{target}: exists already; name another file") from error
    except OSError as error:
        raise NotDecrypted(f"{error.filename or target}: {error.strerror}") from error
    finally:
        body.close()
