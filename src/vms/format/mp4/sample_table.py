"""Where the samples of one track are, and when: the flat form of an MP4 sample table."""

from array import array
from dataclasses import dataclass, field

from vms.media import Track


@dataclass(slots=True)
class SampleTable:
    """The samples of one track of one file, in decoding order; one index over all arrays.

    first_dts: decoding time of the first sample, on the stream's timeline, in ticks; each next one is
        its predecessor's plus that one's duration.
    offsets: bytes from the start of the file. sizes: bytes. durations, composition_offsets: ticks.
    keys: 1 where decoding can start, else 0.
    in_band: its samples carry parameter sets (``avc3``, ``hev1``).
    """

    track: Track
    first_dts: int
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    durations: "array[int]" = field(default_factory=lambda: array("I"))
    composition_offsets: "array[int]" = field(default_factory=lambda: array("i"))
    keys: bytearray = field(default_factory=bytearray)
    in_band: bool = False

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def first_pts(self) -> int:
        """Presentation time of the first sample."""
        return self.first_dts + self.composition_offsets[0]

    @property
    def end_dts(self) -> int:
        """Decoding time after the last sample."""
        return self.first_dts + sum(self.durations)

    def slice(self, first: int, last: int) -> "SampleTable":
        """Samples `first` up to, not including, `last`."""
        return SampleTable(
            self.track,
            self.first_dts + sum(self.durations[:first]),
            self.offsets[first:last],
            self.sizes[first:last],
            self.durations[first:last],
            self.composition_offsets[first:last],
            self.keys[first:last],
            self.in_band,
        )
