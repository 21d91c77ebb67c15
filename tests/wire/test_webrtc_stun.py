"""STUN: the standard's own vectors, aioice's messages, and what must be refused."""

import contextlib
import secrets

import aioice.stun
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.wire.webrtc import stun

# RFC 5769 §2.1 and §2.2
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff"
    "80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
    "c1b571a280280004e57a3bcf"
)
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")


def request(password: bytes | None = PASSWORD, **changes: bytes) -> bytes:
    attributes = [(stun.USERNAME, b"aaaa:bbbb"), (stun.PRIORITY, b"\0\0\1\0")]
    return stun.build(stun.BINDING_REQUEST, secrets.token_bytes(12), attributes, password)


def test_the_request_of_rfc_5769_is_authentic_with_its_password_alone() -> None:
    message = stun.parse(REQUEST)
    assert message.type == stun.BINDING_REQUEST
    assert message.transaction_id == TRANSACTION
    assert message.attributes[stun.USERNAME] == b"evtj:h6vY"
    assert message.has_fingerprint
    assert message.is_authentic(PASSWORD)
    assert not message.is_authentic(PASSWORD + b"x")


@pytest.mark.parametrize("at", range(0, len(REQUEST), 3))
def test_a_changed_byte_is_never_taken_as_authentic(at: int) -> None:
    changed = bytearray(REQUEST)
    changed[at] ^= 0x10
    try:
        message = stun.parse(bytes(changed))
    except stun.StunError:
        return
    assert not (message.has_fingerprint and message.is_authentic(PASSWORD))


def test_the_mapped_address_of_rfc_5769_is_made_for_ipv4_and_ipv6() -> None:
    assert stun.xor_address("192.0.2.1", 32853, TRANSACTION).hex() == "0001a147e112a643"
    assert (
        stun.xor_address("2001:db8:1234:5678:11:2233:4455:6677", 32853, TRANSACTION).hex()
        == "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    )


def test_aioice_reads_what_we_build_and_we_read_what_it_builds() -> None:
    ours = stun.build(
        stun.BINDING_SUCCESS,
        TRANSACTION,
        [(stun.XOR_MAPPED_ADDRESS, stun.xor_address("192.0.2.1", 32853, TRANSACTION))],
        PASSWORD,
    )
    theirs = aioice.stun.parse_message(ours)
    assert theirs.attributes["XOR-MAPPED-ADDRESS"] == ("192.0.2.1", 32853)
    theirs.check_message_integrity(PASSWORD)

    message = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    message.attributes["USERNAME"] = "aaaa:bbbb"
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(PASSWORD)
    parsed = stun.parse(bytes(message))
    assert parsed.is_authentic(PASSWORD)
    assert stun.USE_CANDIDATE in parsed.attributes


def test_attributes_behind_message_integrity_are_left_out() -> None:
    protected = request()[: -stun.FINGERPRINT_BYTES]
    smuggled = protected + b"\x00\x25\x00\x00"  # USE-CANDIDATE that nobody signed
    smuggled = smuggled[:2] + (len(smuggled) - 20 + 8).to_bytes(2, "big") + smuggled[4:]
    smuggled += b"\x80\x28\x00\x04" + stun._crc(smuggled)
    message = stun.parse(smuggled)
    assert message.is_authentic(PASSWORD)
    assert stun.USE_CANDIDATE not in message.attributes


def test_a_message_without_integrity_is_not_authentic() -> None:
    assert not stun.parse(request(password=None)).is_authentic(PASSWORD)


def test_attributes_that_must_be_understood_and_are_not_are_named() -> None:
    raw = stun.build(stun.BINDING_REQUEST, TRANSACTION, [(0x7001, b""), (0x8001, b"")], PASSWORD)
    assert stun.parse(raw).unknown_required() == [0x7001]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        REQUEST[:19],
        REQUEST[:-4],
        REQUEST + b"\0\0\0\0",
        b"\x40" + REQUEST[1:],
        REQUEST[:4] + b"\0\0\0\0" + REQUEST[8:],
        REQUEST[:-1] + b"\0",
        b"\0\1\0\4!\x12\xa4B" + bytes(12) + b"\0\6\0\x20",
        b"\0\1\x10\0!\x12\xa4B" + bytes(12 + 4096),
        b"\0\1\0\x84!\x12\xa4B" + bytes(12) + b"\xc0\0\0\0" * 33,
    ],
)
def test_what_is_no_whole_stun_message_is_refused(wrong: bytes) -> None:
    with pytest.raises(stun.StunError):
        stun.parse(wrong)


@given(st.binary(max_size=200))
def test_any_datagram_gives_a_message_or_a_typed_error(datagram: bytes) -> None:
    with contextlib.suppress(stun.StunError):
        stun.parse(datagram)
