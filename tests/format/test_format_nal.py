import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.format import nal
from vms.format.errors import FormatError

# A NAL unit never ends in zero, and holds no start code (ITU-T H.264 §7.4.1)
_NALS = st.binary(min_size=1, max_size=40).filter(
    lambda data: data[-1] and b"\0\0\1" not in data and b"\0\0\0" not in data
)


@given(st.lists(st.binary(min_size=1, max_size=300)))
def test_nal_units_come_out_of_their_lengths_as_they_went_in(nals: list[bytes]) -> None:
    assert [bytes(each) for each in nal.split(nal.join(nals))] == nals


@given(st.lists(_NALS, min_size=1))
def test_nal_units_survive_annex_b(nals: list[bytes]) -> None:
    assert nal.from_annex_b(nal.to_annex_b(nal.join(nals))) == nal.join(nals)


def test_short_start_codes_and_trailing_zeros_are_understood() -> None:
    assert nal.from_annex_b(b"\0\0\1\x67\x01\0\0\0\0\1\x68\x02\0\0\1\x65\x03\0\0") == nal.join(
        [b"\x67\x01", b"\x68\x02", b"\x65\x03"]
    )


@pytest.mark.parametrize(
    "data", [b"\0", b"\0\0\0\0", b"\0\0\0\5abcd", b"\0\0\0\1a\0\0\0", b"\xff\xff\xff\xff"]
)
def test_a_wrong_length_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        list(nal.split(data))


def test_a_stream_without_start_codes_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="start code"):
        nal.from_annex_b(b"\0\0\0\4abcd")


def test_emulation_prevention_is_undone() -> None:
    assert nal.unescape(bytes.fromhex("67 00 00 03 00 00 03 01 03")) == bytes.fromhex("67 00 00 00 00 01 03")
