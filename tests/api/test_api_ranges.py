"""Byte ranges and conditional requests, over HTTP and as rules."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.stand_ins import SEGMENT_ID, Backend

from vms.api.ranges import ByteRange, RangeNotSatisfiable, parse_range

PATH = f"/api/v1/cameras/porch/segments/{SEGMENT_ID}.mp4"
WHOLE = bytes(range(100))


@pytest.mark.parametrize(
    ("field", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=90-1000", 90, 99),
        ("bytes=-5", 95, 99),
        ("bytes=-1000", 0, 99),
        ("BYTES=0-9", 0, 9),
    ],
)
async def test_one_range_is_answered_with_206(
    backend: Backend, client: httpx.AsyncClient, field: str, first: int, last: int
) -> None:
    answer = await client.get(PATH, headers={"Range": field})
    assert answer.status_code == 206
    assert answer.content == WHOLE[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/100"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert backend.player.source.times_closed == 1


@pytest.mark.parametrize("field", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999999999999-"])
async def test_a_range_behind_the_end_is_416_with_the_size(
    backend: Backend, client: httpx.AsyncClient, field: str
) -> None:
    answer = await client.get(PATH, headers={"Range": field})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */100"
    assert answer.headers["content-type"] == "application/problem+json"
    assert backend.player.source.times_closed == 1


@pytest.mark.parametrize(
    "field",
    ["bytes=0-1,5-6", "bytes=5-2", "bytes=", "bytes=-", "items=0-1", "bytes 0-1", "bytes=a-b", "bytes=٣-٤"],
)
async def test_several_and_malformed_ranges_are_ignored(client: httpx.AsyncClient, field: str) -> None:
    answer = await client.get(PATH, headers={"Range": field.encode()})
    assert (answer.status_code, answer.content) == (200, WHOLE)


@pytest.mark.parametrize(
    ("tag", "status"), [('"abc-1"', 206), ('"other"', 200), ('W/"abc-1"', 200), ("Tue, 14 Nov 2023", 200)]
)
async def test_if_range_sends_the_part_only_of_the_same_bytes(
    client: httpx.AsyncClient, tag: str, status: int
) -> None:
    answer = await client.get(PATH, headers={"Range": "bytes=0-4", "If-Range": tag})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"abc-1"'}, 304),
        ({"If-None-Match": 'W/"abc-1"'}, 304),
        ({"If-None-Match": '"x", "abc-1"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": '"abc-1"'}, 200),
    ],
)
async def test_conditions_compare_the_entity_tag(
    backend: Backend, client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await client.get(PATH, headers=headers)
    assert answer.status_code == status
    assert backend.player.source.times_closed == 1
    if status == 304:
        assert answer.content == b""
        assert "content-length" not in answer.headers


async def test_head_says_the_size_and_reads_nothing(backend: Backend, client: httpx.AsyncClient) -> None:
    answer = await client.head(PATH)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "100")
    part = await client.head(PATH, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["content-length"]) == (206, "10")
    assert backend.player.source.pieces_taken == 0
    assert backend.player.source.times_closed == 2


async def test_an_empty_file_is_empty_and_has_no_range(backend: Backend, client: httpx.AsyncClient) -> None:
    backend.player.source.data = b""
    answer = await client.get(PATH)
    assert (answer.status_code, answer.headers["content-length"]) == (200, "0")
    assert (await client.get(PATH, headers={"Range": "bytes=0-"})).status_code == 416


@given(st.text(max_size=40), st.integers(0, 1000))
def test_any_field_gives_a_range_inside_the_file_or_none(text: str, size: int) -> None:
    for field in (text, f"bytes={text}"):
        try:
            found = parse_range(field, size)
        except RangeNotSatisfiable:
            continue
        assert found is None or 0 <= found.first <= found.last < size


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 40))
def test_a_range_means_what_rfc_9110_says(first: int, last: int, size: int) -> None:
    field = f"bytes={first}-{last}"
    if last < first:
        assert parse_range(field, size) is None
    elif first >= size:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(field, size)
    else:
        assert parse_range(field, size) == ByteRange(first, min(last, size - 1))
