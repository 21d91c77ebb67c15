import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.wire.errors import ProtocolError
from vms.wire.rtsp.message import (
    MAX_BODY_SIZE,
    MAX_HEAD_SIZE,
    Headers,
    Request,
    Response,
    take_message,
)

words = st.text("abcXYZ09", min_size=1, max_size=10)
values = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=30).map(str.strip)
headers = st.lists(st.tuples(words.filter(lambda word: word.lower() != "content-length"), values), max_size=6)


@given(
    st.sampled_from(["OPTIONS", "DESCRIBE", "GET_PARAMETER"]),
    headers,
    st.binary(max_size=200),
    st.integers(0, 20),
)
def test_a_request_comes_back_whole_and_never_before_it_is_all_there(
    method: str, fields: list[tuple[str, str]], body: bytes, before: int
) -> None:
    request = Request(method, "rtsp://h/s?a=1&b=2", Headers(fields), body)
    data = bytes(before) + request.pack()
    found = take_message(data + b"$more", before)
    assert found is not None
    message, end = found
    assert isinstance(message, Request)
    assert end == len(data)
    assert (message.method, message.uri, message.body) == (method, request.uri, body)
    assert list(message.headers)[: len(fields)] == fields
    assert take_message(data, before, len(data) - 1) is None


def test_a_response_is_read_with_folded_stray_and_bare_lines() -> None:
    text = b"\r\nRTSP/1.0 401 Unauthorized\nCSeq: 7\nstray\nWWW-Authenticate: Digest a=1,\n  b=2\nwww-authenticate:Basic\n\n$"
    found = take_message(text)
    assert found is not None
    response, end = found
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.cseq) == (401, "Unauthorized", 7)
    assert response.headers.all("WWW-AUTHENTICATE") == ["Digest a=1, b=2", "Basic"]
    assert text[end:] == b"$"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"RTSP/1.0\r\n\r\n",
        b"RTSP/1.0 two OK\r\n\r\n",
        b"RTSP/1.0 20 OK\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PLAY rtsp://x\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 1e3\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_SIZE + 1),
        b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 201 + b"\r\n",
        b"RTSP/1.0 200 OK\r\na: " + b"x" * MAX_HEAD_SIZE,
    ],
)
def test_what_is_no_message_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        take_message(data)


def test_header_names_compare_without_case() -> None:
    fields = Headers([("CSeq", "1"), ("Public", "A"), ("PUBLIC", "B")])
    assert fields["cseq"] == "1"
    assert "public" in fields
    assert fields.get("Session") is None
    fields.set("public", "C")
    assert fields.all("Public") == ["C"]
    with pytest.raises(KeyError):
        fields["nothing"]


def test_the_text_of_headers_hides_their_values() -> None:
    assert "secret" not in repr(Request("PLAY", "*", Headers([("Authorization", "Basic secret")])))


@pytest.mark.parametrize("value", ["a\r\nInjected: b", "a\nb", "a\rb"])
def test_a_header_cannot_smuggle_another(value: str) -> None:
    with pytest.raises(ValueError, match="line breaks"):
        Request("PLAY", "*", Headers([("Range", value)])).pack()


@pytest.mark.parametrize("text", ["", "x", "-1", "١"])
def test_a_cseq_that_is_no_number_is_none(text: str) -> None:
    assert Response(200, headers=Headers([("CSeq", text)])).cseq is None
