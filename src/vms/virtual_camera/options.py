"""What `vms camera` can be told: how many cameras, of what, and which faults they show on purpose."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from vms.config import is_loopback
from vms.virtual_camera.errors import OptionsInvalid

MAX_CAMERAS = 1000


class PatternAudio(StrEnum):
    """The sound that goes with the drawn picture: a tone, louder at the start of every second."""

    NONE = "none"
    PCMU = "pcmu"
    AAC = "aac"


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """One process of virtual cameras. Raises OptionsInvalid for a combination that makes no camera.

    files: footage to loop, H.264 or H.265; with several, cameras take them in turn. The first camera of
        a file shows it from the beginning, the others start elsewhere, so that they differ.
    pattern: draw a moving picture with a readable clock instead of reading files.
    count: cameras, at /camera-1 … /camera-N.
    sub: a smaller drawn picture beside each, at /camera-1/sub …, as a camera's sub stream; encoded while it is watched.
    host, port: where RTSP is served; port 0 takes any free one.
    user, password: digest credentials that clients must give; needed on anything but loopback.
    drop_after_s: once, this long after the start, all connections are closed and none is taken for
        `drop_for_s`, as when a camera reboots.
    jitter_ms: each picture leaves later by a random part of this, in order.
    loss_percent: of RTP packets over UDP, left out at random; numbered as if they had been sent.
    spread_ms: the shortest and the longest time over which a picture's packets are spread.
    width, height, frames_per_second, bitrate, audio: of the pattern. bitrate in bits a second. sub_…: of the sub stream.
    seed: makes random choices repeatable.
    """

    files: tuple[Path, ...] = ()
    pattern: bool = False
    count: int = 1
    sub: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    drop_after_s: float | None = None
    drop_for_s: float = 5.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    spread_ms: tuple[float, float] = (8.0, 30.0)
    width: int = 1280
    height: int = 720
    frames_per_second: int = 25
    bitrate: int = 2_000_000
    audio: PatternAudio = PatternAudio.NONE
    sub_width: int = 640
    sub_height: int = 360
    sub_frames_per_second: int = 12
    sub_bitrate: int = 300_000
    seed: int | None = None

    def __post_init__(self) -> None:
        if bool(self.files) == self.pattern:
            raise OptionsInvalid("name footage files, or ask for the pattern, and not both")
        if not 1 <= self.count <= MAX_CAMERAS:
            raise OptionsInvalid(f"count is {self.count}; allowed: 1 to {MAX_CAMERAS}")
        if (self.user is None) != (self.password is None):
            raise OptionsInvalid("user and password go together: give both or neither")
        if not is_loopback(self.host) and self.user is None:
            raise OptionsInvalid(
                f"host {self.host} is reachable from other machines: give user and password, or use 127.0.0.1"
            )
        self._check_ranges()

    def _check_ranges(self) -> None:
        ranges = {
            "port": (self.port, 0, 65535),
            "drop_after_s": (0 if self.drop_after_s is None else self.drop_after_s, 0, 86400),
            "drop_for_s": (self.drop_for_s, 0, 86400),
            "jitter_ms": (self.jitter_ms, 0, 1000),
            "loss_percent": (self.loss_percent, 0, 100),
            "spread_ms[0]": (self.spread_ms[0], 0, self.spread_ms[1]),
            "spread_ms[1]": (self.spread_ms[1], 0, 1000),
            "width": (self.width, 320, 3840),
            "height": (self.height, 180, 2160),
            "frames_per_second": (self.frames_per_second, 1, 60),
            "bitrate": (self.bitrate, 50_000, 100_000_000),
            "sub_width": (self.sub_width, 320, 3840),
            "sub_height": (self.sub_height, 180, 2160),
            "sub_frames_per_second": (self.sub_frames_per_second, 1, 60),
            "sub_bitrate": (self.sub_bitrate, 50_000, 100_000_000),
        }
        for name, (value, least, most) in ranges.items():
            if not least <= value <= most:
                raise OptionsInvalid(f"{name} is {value}; allowed: {least} to {most}")
        for width, height in ((self.width, self.height), (self.sub_width, self.sub_height)):
            if width % 16 or height % 2:
                raise OptionsInvalid(
                    f"the picture is {width}x{height}; use a width that is a multiple of 16 and an even height"
                )
