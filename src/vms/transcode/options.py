"""How streams are transcoded."""

from collections.abc import Mapping
from dataclasses import dataclass

SOFTWARE = "libx264"
ENCODERS: Mapping[str, Mapping[str, str]] = {
    SOFTWARE: {
        "preset": "superfast",
        "tune": "zerolatency",  # no look-ahead, and slices instead of frames for threads: nothing is held back
        "profile": "high",
        "crf": "23",
        "forced-idr": "1",
        "sc_threshold": "0",  # key pictures come when they are asked for, not with every cut
    },
    "h264_nvenc": {"preset": "p1", "tune": "ull", "rc": "vbr", "zerolatency": "1", "forced-idr": "1"},
    "h264_qsv": {"preset": "veryfast", "async_depth": "1", "forced_idr": "1"},
}
"""FFmpeg's encoders that can be asked for, with the options that make them give each picture at once."""


@dataclass(frozen=True, slots=True)
class TranscodeOptions:
    """most: streams at once. max_height: pixels; taller pictures are made smaller. bitrate: bits a second, at most.

    key_interval_s: of media, between key pictures. encoder: of `ENCODERS`; where it cannot be opened, libx264 does it.
    """

    most: int = 2
    max_height: int = 720
    bitrate: int = 2_500_000
    key_interval_s: float = 2.0
    encoder: str = SOFTWARE

    def __post_init__(self) -> None:
        if self.most < 1 or self.max_height < 16 or self.bitrate < 10_000 or self.key_interval_s <= 0:
            raise ValueError(f"such transcoding cannot be: {self}")
        if self.encoder not in ENCODERS:
            raise ValueError(f"no encoder {self.encoder}; there are {', '.join(ENCODERS)}")
