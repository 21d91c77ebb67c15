"""The streams of a camera."""

from enum import StrEnum

from vms.common.errors import InvalidInput


class StreamName(StrEnum):
    """Which of a camera's streams. main: what is recorded. sub: a smaller one that the camera encodes beside it, where
    one is configured. compat: the main stream transcoded by us, for viewers that can play nothing else."""

    MAIN = "main"
    SUB = "sub"
    COMPAT = "compat"


def parse_stream_name(text: object) -> StreamName:
    """What a viewer calls it. Raises InvalidInput."""
    try:
        return StreamName(str(text))
    except ValueError:
        raise InvalidInput(f"stream must be one of {', '.join(StreamName)}") from None
