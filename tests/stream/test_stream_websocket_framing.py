"""Frames of RFC 6455: what is right comes through, what is wrong ends the connection with the right code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stream.websocket_client import KEY, masked

from vms.common.errors import InvalidInput
from vms.stream.websocket.framing import (
    MAX_MESSAGE_BYTES,
    CloseCode,
    FrameError,
    FrameReader,
    Message,
    Opcode,
    accept_key,
    close_frame,
    frame,
)

HANDSHAKE = {
    "upgrade": "WebSocket",
    "connection": "keep-alive, Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_the_accept_key_is_that_of_the_standards_example() -> None:
    assert accept_key("GET", HANDSHAKE) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("POST", {}),
        ("GET", {"upgrade": "h2c"}),
        ("GET", {"connection": "close"}),
        ("GET", {"sec-websocket-version": "8"}),
        ("GET", {"sec-websocket-key": "short"}),
        ("GET", {"sec-websocket-key": "not base64 at all!!!!!!!"}),
    ],
)
def test_a_handshake_that_is_not_one_is_refused(method: str, change: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        accept_key(method, HANDSHAKE | change)


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=5), st.integers(1, 50))
def test_a_message_in_any_fragments_and_pieces_comes_out_whole(parts: list[bytes], step: int) -> None:
    data = b""
    for number, part in enumerate(parts):
        opcode = Opcode.CONTINUATION if number else Opcode.TEXT
        data += masked(opcode, part, final=number == len(parts) - 1) + masked(Opcode.PING, b"between")
    reader, found = FrameReader(), []
    for at in range(0, len(data), step):
        found += reader.feed(data[at : at + step])
    assert [message for message in found if message.opcode is Opcode.TEXT] == [
        Message(Opcode.TEXT, b"".join(parts))
    ]
    assert sum(message.opcode is Opcode.PING for message in found) == len(parts)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535])
def test_every_length_is_read_and_written(size: int) -> None:
    payload = bytes(n & 0xFF for n in range(size))
    assert list(FrameReader().feed(masked(Opcode.BINARY, payload))) == [Message(Opcode.BINARY, payload)]
    assert frame(Opcode.BINARY, payload).endswith(payload)


HOSTILE = {
    "unmasked": (masked(Opcode.TEXT, b"a", mask=False), CloseCode.PROTOCOL_ERROR),
    "an opcode of the future": (masked(3, b"a"), CloseCode.PROTOCOL_ERROR),
    "a control opcode of the future": (masked(11, b"a"), CloseCode.PROTOCOL_ERROR),
    "a reserved bit": (bytes([0xC1]) + masked(Opcode.TEXT, b"a")[1:], CloseCode.PROTOCOL_ERROR),
    "a fragmented ping": (masked(Opcode.PING, b"a", final=False), CloseCode.PROTOCOL_ERROR),
    "a long ping": (masked(Opcode.PING, bytes(126)), CloseCode.PROTOCOL_ERROR),
    "a message in a message": (
        masked(Opcode.TEXT, b"a", final=False) + masked(Opcode.TEXT, b"b"),
        CloseCode.PROTOCOL_ERROR,
    ),
    "no beginning": (masked(Opcode.CONTINUATION, b"a"), CloseCode.PROTOCOL_ERROR),
    "too long": (masked(Opcode.TEXT, bytes(MAX_MESSAGE_BYTES + 1)), CloseCode.TOO_BIG),
    "a length beyond all memory": (bytes([0x81, 0xFF]) + b"\x7f" + bytes(7) + bytes(4), CloseCode.TOO_BIG),
    "too long together": (
        masked(Opcode.TEXT, bytes(60_000), final=False) + masked(Opcode.CONTINUATION, bytes(60_000)),
        CloseCode.TOO_BIG,
    ),
    "endless empty fragments": (
        masked(Opcode.TEXT, b"", final=False) + masked(Opcode.CONTINUATION, b"", final=False) * 70_000,
        CloseCode.TOO_BIG,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_frame_is_refused_with_its_code(name: str) -> None:
    data, code = HOSTILE[name]
    reader = FrameReader()
    with pytest.raises(FrameError) as caught:
        for at in range(0, len(data), 1 << 12):
            list(reader.feed(data[at : at + (1 << 12)]))
    assert caught.value.code is code


def test_a_reason_too_long_for_a_close_frame_is_cut_between_characters() -> None:
    data = close_frame(CloseCode.POLICY, "ção" * 100)
    assert data[1] <= 125
    assert data[4:].decode().startswith("ção")


def test_the_key_of_the_client_of_tests_is_one() -> None:
    assert accept_key("GET", HANDSHAKE | {"sec-websocket-key": KEY})
