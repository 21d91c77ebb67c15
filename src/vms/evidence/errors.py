"""Errors of proving.

EvidenceKeysUnusable    keys that cannot be read or written; recording goes on, unsigned
NoPublicKey             a file given as a key that holds none
NotEvidence             what was given is no recording, no export, no archive
Unreachable             a URL that gives no answer, or not the one that is needed
"""

from vms.common.errors import InvalidInput, Unavailable


class EvidenceKeysUnusable(Unavailable):
    """The keys that sign recordings cannot be used; until that is mended, recordings stay unsigned."""


class NoPublicKey(InvalidInput):
    """A file that was given as a key to trust and holds none."""


class NotEvidence(InvalidInput):
    """Nothing that can be verified: no recording, no export, no archive."""


class Unreachable(Unavailable):
    """What was to be verified could not be read."""
