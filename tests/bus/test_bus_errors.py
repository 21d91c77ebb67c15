import pytest

from vms.bus.errors import (
    RemoteConflict,
    RemoteError,
    RemoteInvalidInput,
    RemoteNotFound,
    RemoteUnavailable,
    pack_error,
    raise_error,
)
from vms.bus.replies import parse_result
from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable, VmsError
from vms.proto import bus_pb2


class Specific(Conflict):
    def __init__(self, text: str, reason: object) -> None:
        super().__init__(text)
        self.reason = reason


@pytest.mark.parametrize(
    ("branch", "raised"),
    [
        (InvalidInput, RemoteInvalidInput),
        (Unavailable, RemoteUnavailable),
        (NotFound, RemoteNotFound),
        (Conflict, RemoteConflict),
        (VmsError, RemoteError),
    ],
)
def test_an_error_is_raised_again_as_its_branch(branch: type[VmsError], raised: type[VmsError]) -> None:
    with pytest.raises(branch, match="camera yard") as caught:
        raise_error(pack_error(branch("camera yard")))
    assert type(caught.value) is raised
    assert caught.value.reason is None


@pytest.mark.parametrize(
    ("reason", "travels"),
    [
        ("unsupported_codec", True),
        ("h264-high.4", True),
        ("The disk is full; free some space", False),
        ("", False),
        (7, False),
        (None, False),
    ],
)
def test_a_slug_travels_as_the_reason_and_a_sentence_does_not(reason: object, travels: bool) -> None:
    with pytest.raises(RemoteConflict) as caught:
        raise_error(pack_error(Specific("text", reason)))
    assert caught.value.reason == (reason if travels else None)


def test_an_error_that_came_from_a_peer_passes_on_unchanged() -> None:
    with pytest.raises(Conflict) as first:
        raise_error(pack_error(Specific("text", "busy")))
    with pytest.raises(Conflict, match="text") as second:
        raise_error(pack_error(first.value))
    assert second.value.reason == "busy"


def test_an_unexpected_error_is_packed_without_its_details() -> None:
    packed = pack_error(ValueError("/secret/path"))
    assert packed.kind == bus_pb2.Error.KIND_UNSPECIFIED
    assert "secret" not in packed.text


def test_credentials_in_a_url_do_not_travel() -> None:
    assert "hunter2" not in pack_error(InvalidInput("rtsp://admin:hunter2@10.0.0.1/ is no URL")).text


def test_a_kind_of_a_later_version_is_still_an_error() -> None:
    later = bus_pb2.Error.FromString(b"\x08\x63\x12\x04text")
    with pytest.raises(RemoteError, match="text"):
        raise_error(later)


@pytest.mark.parametrize("data", [b"", b"\xff\xff", bus_pb2.Reply().SerializeToString()])
def test_what_is_no_reply_is_an_error(data: bytes) -> None:
    with pytest.raises(RemoteError, match="one version"):
        parse_result(data)


def test_a_long_or_odd_text_travels_cut_and_readable() -> None:
    assert len(pack_error(InvalidInput("x" * 100_000)).text) <= 4000
    assert pack_error(InvalidInput("\ud800")).text
