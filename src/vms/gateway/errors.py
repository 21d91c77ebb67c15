"""Why the database cannot be used; every text says what to do about it.

DatabaseUnusable (Unavailable)   cannot be opened, or was made by a newer version
CameraUnusable (InvalidInput)    one camera's row holds what this version does not take

A key that does not belong to the database is KeyMismatch, a value that it did not seal SecretUnreadable
(vms.common.secrets).
"""

from vms.common.errors import InvalidInput, Unavailable


class DatabaseUnusable(Unavailable):
    """The database cannot be opened or brought to this version."""


class CameraUnusable(InvalidInput):
    """A row of the database that makes no camera; the text never repeats its source."""
