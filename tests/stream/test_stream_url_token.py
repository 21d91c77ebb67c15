"""Tokens in URLs: for one camera, one use, and a short time."""

import pytest

from vms.common.ids import CameraId
from vms.stream.errors import Refused
from vms.stream.http.token import WATCH, check, mint

SECRET, CAMERA, EXPIRES_NS = bytes(range(32)), CameraId("porch"), 1_000


def token() -> str:
    return mint(SECRET, CAMERA, WATCH, EXPIRES_NS)


def test_a_token_is_valid_for_its_camera_and_use_until_it_expires() -> None:
    check(SECRET, token(), CAMERA, WATCH, EXPIRES_NS - 1)
    assert token().replace("-", "a").replace("_", "a").isalnum()


@pytest.mark.parametrize(
    ("given", "camera", "use", "now_ns", "known"),
    [
        ("", CAMERA, WATCH, 0, False),
        ("é" * 54, CAMERA, WATCH, 0, False),
        ("a" * 5_000, CAMERA, WATCH, 0, False),
        ("A" * 54, CAMERA, WATCH, 0, True),
        (token(), CameraId("yard"), WATCH, 0, True),
        (token(), CAMERA, "talk", 0, True),
        (token(), CAMERA, WATCH, EXPIRES_NS, True),
        (mint(bytes(32), CAMERA, WATCH, EXPIRES_NS), CAMERA, WATCH, 0, True),
    ],
)
def test_any_other_token_is_refused(given: str, camera: CameraId, use: str, now_ns: int, known: bool) -> None:
    with pytest.raises(Refused) as caught:
        check(SECRET, given, camera, use, now_ns)
    assert caught.value.known is known
    assert not given or given not in str(caught.value)


def test_a_later_expiry_written_into_a_token_makes_it_worthless() -> None:
    changed = mint(bytes(32), CAMERA, WATCH, 1 << 60)[:11] + token()[11:]
    with pytest.raises(Refused):
        check(SECRET, changed, CAMERA, WATCH, 0)
