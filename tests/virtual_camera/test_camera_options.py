"""Options that make no camera are refused with what is allowed."""

from pathlib import Path
from typing import Any

import pytest

from vms.virtual_camera.errors import OptionsInvalid
from vms.virtual_camera.options import CameraOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "footage files, or ask for the pattern"),
        ({"pattern": True, "files": (Path("a.mp4"),)}, "not both"),
        ({"pattern": True, "count": 0}, "1 to 1000"),
        ({"pattern": True, "user": "u"}, "both or neither"),
        ({"pattern": True, "host": "0.0.0.0"}, "give user and password"),
        ({"pattern": True, "loss_percent": 101}, "0 to 100"),
        ({"pattern": True, "spread_ms": (30, 8)}, "spread_ms"),
        ({"pattern": True, "width": 1281}, "multiple of 16"),
        ({"pattern": True, "port": 70000}, "65535"),
    ],
)
def test_options_that_make_no_camera_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsInvalid, match=message):
        CameraOptions(**options)


def test_any_address_is_allowed_with_credentials_and_they_are_not_shown() -> None:
    options = CameraOptions(pattern=True, host="0.0.0.0", user="u", password="secret")
    assert "secret" not in repr(options)
