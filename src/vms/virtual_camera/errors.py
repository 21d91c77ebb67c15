"""What can be wrong with what a virtual camera is asked to do.

InvalidInput
├── FootageInvalid   the file cannot be sent: not there, not media, no codec that RTP can carry here
└── OptionsInvalid   a combination of options that makes no camera
"""

from pathlib import Path

from vms.common.errors import InvalidInput


class FootageInvalid(InvalidInput):
    """A file that cannot be served as a camera; the text says why and what would do."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


class OptionsInvalid(InvalidInput):
    """Options that make no camera; the text says which and what is allowed."""
