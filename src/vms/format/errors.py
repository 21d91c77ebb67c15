"""The one error of this package."""

from vms.common.errors import InvalidInput


class FormatError(InvalidInput):
    """A bit stream or file that breaks its standard, or is not what it was taken for.

    Whatever bytes are given, parsers of this package raise nothing else.
    """
