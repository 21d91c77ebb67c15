"""What can go wrong on the bus, and how an error of a peer becomes an error here.

    Unavailable
    ├── BusUnavailable      not connected, nobody there, or no answer in time
    └── RemoteUnavailable   the peer said so
    InvalidInput ── RemoteInvalidInput
    NotFound ────── RemoteNotFound
    Conflict ────── RemoteConflict
    VmsError ────── RemoteError      the peer failed, its log says why

A peer's error is raised again as the same branch of vms.common.errors, with its text and its `reason`.

Belongs here: the bus's errors and their way over the wire. Does not: what they mean (the services).
"""

import re
from typing import NoReturn

from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable, VmsError
from vms.proto import bus_pb2
from vms.telemetry.logs import get_logger, redact

log = get_logger(__name__)

_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_LONGEST_TEXT = 4000  # characters; an error is read by a person


class BusUnavailable(Unavailable):
    """Not connected, nobody listening, or no answer in time. Whether a request was carried out is not known."""


class RemoteUnavailable(Unavailable):
    """A peer cannot do it now; `reason` is its slug for programs."""

    reason: str | None = None


class RemoteInvalidInput(InvalidInput):
    """A peer takes this for wrong; `reason` is its slug for programs."""

    reason: str | None = None


class RemoteNotFound(NotFound):
    """A peer knows no such thing; `reason` is its slug for programs."""

    reason: str | None = None


class RemoteConflict(Conflict):
    """A peer's state does not allow this; `reason` is its slug for programs."""

    reason: str | None = None


class RemoteError(VmsError):
    """A peer failed at this, and its log says why; `reason` is its slug for programs."""

    reason: str | None = None


_Remote = RemoteUnavailable | RemoteInvalidInput | RemoteNotFound | RemoteConflict | RemoteError

_KINDS: tuple[tuple[type[VmsError], bus_pb2.Error.Kind, type[_Remote]], ...] = (
    (InvalidInput, bus_pb2.Error.KIND_INVALID_INPUT, RemoteInvalidInput),
    (Unavailable, bus_pb2.Error.KIND_UNAVAILABLE, RemoteUnavailable),
    (NotFound, bus_pb2.Error.KIND_NOT_FOUND, RemoteNotFound),
    (Conflict, bus_pb2.Error.KIND_CONFLICT, RemoteConflict),
)


def pack_error(error: BaseException) -> bus_pb2.Error:
    """`error` for the wire.

    One that is no VmsError is a fault of this process: its cause goes to the log, and the peer learns only that.
    """
    if not isinstance(error, VmsError):
        log.error("a request failed for an unexpected reason", exc_info=error)
        return bus_pb2.Error(text="internal error of the process asked; its log has the cause")
    kind = next(
        (kind for branch, kind, _ in _KINDS if isinstance(error, branch)), bus_pb2.Error.KIND_UNSPECIFIED
    )
    # Cut twice: no address that is shown is cut before its credentials are taken out
    text = redact(str(error)[: 2 * _LONGEST_TEXT])[:_LONGEST_TEXT].encode(errors="replace").decode()
    return bus_pb2.Error(kind=kind, text=text, reason=_slug(error))


def raise_error(error: bus_pb2.Error) -> NoReturn:
    """Raise what `pack_error` packed, as a subclass of the same branch; a kind unknown here is a RemoteError."""
    remote: type[_Remote] = next((remote for _, kind, remote in _KINDS if kind == error.kind), RemoteError)
    raised = remote(error.text or "the peer gave no reason; see its log")
    raised.reason = error.reason or None
    raise raised


def _slug(error: VmsError) -> str:
    reason = getattr(error, "reason", None)
    # Some errors keep a sentence for people under this name; programs get slugs only
    return str(reason) if isinstance(reason, str) and _SLUG.fullmatch(str(reason)) else ""
