"""Where the bus is, and the credentials for it, as a file for this user alone.

Belongs here: the address, saving and loading it. Does not: who listens there (server), connecting (nats_link).
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from vms.bus.errors import BusUnavailable

_PORT = 4222  # where nats-server listens unless told otherwise


@dataclass(frozen=True, slots=True)
class BusAddress:
    """url: ``nats://host:port`` without credentials; those are left out of every text made of this."""

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """The address in ``nats://[user:password@]host[:port]``. Raises ValueError."""
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
        if not host:
            raise ValueError("bus.url names no host; write nats://user:password@host:4222")
        user = unquote(parts.username) if parts.username is not None else None
        password = unquote(parts.password) if parts.password is not None else None
        return cls(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}", user, password)

    def save(self, path: Path) -> None:
        """Write the file, mode 0600, whole or not at all. Raises OSError."""
        write_private(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Raises BusUnavailable while there is no such file."""
        try:
            fields = json.loads(path.read_text())
            url, user, password = fields["url"], fields["user"], fields["password"]
            if not isinstance(url, str) or not all(isinstance(f, str | None) for f in (user, password)):
                raise TypeError
            return cls(url, user, password)
        except FileNotFoundError:
            raise BusUnavailable(f"no bus yet: {path.name} is written when its server starts") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BusUnavailable(
                f"{path.name} cannot be read ({type(error).__name__}); remove it and restart"
            ) from None


def write_private(path: Path, text: str) -> None:
    """Replace the file at `path` by one for this user alone; readers see the old or the new. Raises OSError."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
