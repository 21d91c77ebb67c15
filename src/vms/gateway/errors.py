"""Why the database cannot be used; every text says what to do about it.

DatabaseUnusable (Unavailable)   cannot be opened, or was made by a newer version
└── KeyMismatch                  the key file and the database do not belong together
SecretUnreadable (InvalidInput)  one sealed value was not made with this key, or was changed
CameraUnusable (InvalidInput)    one camera's row holds what this version does not take
"""

from vms.common.errors import InvalidInput, Unavailable


class DatabaseUnusable(Unavailable):
    """The database cannot be opened or brought to this version."""


class KeyMismatch(DatabaseUnusable):
    """The key file does not open what the database holds; starting would lose every camera's credentials."""


class SecretUnreadable(InvalidInput):
    """A sealed value that this key did not seal for this place."""


class CameraUnusable(InvalidInput):
    """A row of the database that makes no camera; the text never repeats its source."""
