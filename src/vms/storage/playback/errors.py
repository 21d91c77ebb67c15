"""What can be wrong when recordings are read again.

InvalidInput
├── RangeInvalid        a range that ends before it begins
└── RangeTooLong        more than one answer may hold; ask in parts
NotFound
├── NothingRecorded     nothing of that camera at that time; says what is nearest, or why
└── RecordingGone       retention deleted a file that was about to be read
Unavailable
├── TooManyExports      others are being sent; trying again later is safe
├── TooManyVerifications  others are being verified; trying again later is safe
├── RecordingDamaged    a recording file is not what its index says
└── PictureUnavailable  the recording is there, but its picture cannot be decoded
"""

from vms.common.errors import InvalidInput, NotFound, Unavailable


class RangeInvalid(InvalidInput):
    """The range is empty or ends before it begins."""


class RangeTooLong(InvalidInput):
    """The range holds more than one answer may carry; the text says how much is allowed."""


class NothingRecorded(NotFound):
    """Nothing was recorded at that time; the text says what is nearest, or why it is missing."""


class RecordingGone(NotFound):
    """A recording file was deleted, by retention or by hand, before it could be read."""


class TooManyExports(Unavailable):
    """As many exports as are allowed at once are being sent."""


class TooManyVerifications(Unavailable):
    """As many as may wait for verification do so."""


class RecordingDamaged(Unavailable):
    """A recording file is not what its index says; the text names it and its time."""


class PictureUnavailable(Unavailable):
    """The recording is there, but no picture comes out of the decoder."""
