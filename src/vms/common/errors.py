"""The root of the project's errors.

    VmsError
    ├── InvalidInput            what came from outside is wrong; says what and where
    │   ├── vms.format:  FormatError      a bit stream or file that breaks its standard
    │   ├── vms.wire:    ProtocolError    a peer that breaks its protocol
    │   └── vms.config:  ConfigError      a configuration that cannot be used
    ├── Unavailable             cannot be done now; trying again later is safe
    │   └── vms.ingest:  SourceError      a camera that does not deliver
    ├── NotFound                the named thing does not exist
    └── Conflict                the named thing exists already or is in another state

Every error's text says what happened, where, and what to do next, and never carries credentials.
"""


class VmsError(Exception):
    """Root of every error that this project raises on purpose."""


class InvalidInput(VmsError):
    """Input from outside that breaks its rules; trying the same again cannot help."""


class Unavailable(VmsError):
    """Cannot be done now; trying again later is safe."""


class NotFound(VmsError):
    """The named thing does not exist."""


class Conflict(VmsError):
    """The named thing exists already, or is not in a state that allows this."""
