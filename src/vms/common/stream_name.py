"""The streams of a camera."""

from enum import StrEnum


class StreamName(StrEnum):
    """Which of a camera's streams. main: what is recorded. sub: a smaller one that the camera encodes beside it, where
    one is configured. compat: the main stream transcoded by us, for viewers that can play nothing else."""

    MAIN = "main"
    SUB = "sub"
    COMPAT = "compat"
