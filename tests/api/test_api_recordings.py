"""Recorded footage over HTTP."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.api.stand_ins import NOW_NS, SEGMENT_ID, Backend

from vms.api.problems import InvalidParameter
from vms.api.times import parse_time
from vms.common.clock import NS, rfc3339

PORCH = "/api/v1/cameras/porch"
RANGE = {"start": "2023-11-14T22:00:00Z", "end": "2023-11-14T22:10:00Z"}
DAY_NS = 86_400 * NS


async def test_the_timeline_has_spans_segments_and_gaps(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PORCH}/recordings", params=RANGE)
    assert answer.status_code == 200
    segment = {
        "id": str(SEGMENT_ID),
        "start": "2023-11-14T22:08:20.000Z",
        "end": "2023-11-14T22:13:20.000Z",
        "bytes": 12345,
        "video": "h264",
        "audio": None,
        "closed": True,
        "tier": "",
        "url": f"{PORCH}/segments/{SEGMENT_ID}.mp4",
    }
    assert answer.json() == {
        "spans": [{"start": "2023-11-14T22:08:20.000Z", "end": "2023-11-14T22:13:20.000Z"}],
        "segments": [segment, segment | {"closed": False}],
        "gaps": [
            {"start": "2023-11-14T22:06:40.000Z", "end": "2023-11-14T22:08:20.000Z", "reason": "camera_lost"},
            {"start": "2023-11-14T22:13:20.000Z", "end": None, "reason": "disk_error"},
        ],
    }


@pytest.mark.parametrize(
    ("parameters", "start_ns", "end_ns"),
    [
        ({}, NOW_NS - DAY_NS, NOW_NS),
        ({"start": rfc3339(NOW_NS - 5 * NS)}, NOW_NS - 5 * NS, NOW_NS),
        ({"end": rfc3339(NOW_NS - 5 * NS)}, NOW_NS - 5 * NS - DAY_NS, NOW_NS - 5 * NS),
    ],
)
async def test_the_timeline_without_times_is_that_of_the_last_day(
    backend: Backend, client: httpx.AsyncClient, parameters: dict[str, str], start_ns: int, end_ns: int
) -> None:
    await client.get(f"{PORCH}/recordings", params=parameters)
    assert backend.player.asked == [("porch", start_ns, end_ns)]


@pytest.mark.parametrize("path", ["recordings", "playback.m3u8", "export.mp4"])
@pytest.mark.parametrize(
    ("start", "end", "where", "says"),
    [
        ("2023-11-14T22:00:00", RANGE["end"], "start", "no time zone"),
        (RANGE["start"], "2023-11-14T22:10:00", "end", "no time zone"),
        ("2023-11-14", RANGE["end"], "start", "no RFC 3339"),
        ("2023-11-14T22:00:00 01:00", RANGE["end"], "start", "%2B"),
        ("20231114T220000Z", RANGE["end"], "start", "no RFC 3339"),
        ("1700000000", RANGE["end"], "start", "no RFC 3339"),
        ("2023-02-30T00:00:00Z", RANGE["end"], "start", "no date"),
        ("0001-01-01T00:00:00+23:59", RANGE["end"], "start", "no date"),
        ("1969-12-31T23:59:59Z", RANGE["end"], "start", "1970 to 2199"),
        ("9999-12-31T23:59:59Z", RANGE["end"], "start", "1970 to 2199"),
        ("٢٠٢٣-11-14T22:00:00Z", RANGE["end"], "start", "no RFC 3339"),
        ("", RANGE["end"], "start", "no RFC 3339"),
        (RANGE["end"], RANGE["end"], "start", "before end"),
        (RANGE["end"], RANGE["start"], "start", "before end"),
        ("2001-01-01T00:00:00Z", RANGE["end"], "end", "hours after start"),
    ],
)
async def test_wrong_times_are_refused_with_the_reason(
    client: httpx.AsyncClient, path: str, start: str, end: str, where: str, says: str
) -> None:
    answer = await client.get(f"{PORCH}/{path}?start={quote(start)}&end={quote(end)}")
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["path"] == f"query.{where}"
    assert says in error["message"]


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("2023-11-14T22:13:20Z", NOW_NS),
        ("2023-11-14t22:13:20z", NOW_NS),
        ("2023-11-14T23:13:20+01:00", NOW_NS),
        ("2023-11-14T19:13:20-03:00", NOW_NS),
        ("2023-11-14T22:13:20.5Z", NOW_NS + NS // 2),
        ("2023-11-14T22:13:20.123456789Z", NOW_NS + 123_456_789),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, expected_ns: int) -> None:
    assert parse_time(text, "at") == expected_ns


async def test_an_export_needs_both_times(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PORCH}/export.mp4", params={"start": RANGE["start"]})
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == ["query.end"]


async def test_the_playlist_names_segments_by_their_path(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PORCH}/playback.m3u8", params=RANGE)
    assert answer.headers["content-type"].startswith("application/vnd.apple.mpegurl")
    assert answer.headers["cache-control"] == "no-store"
    _, url, init_url = answer.text.splitlines()
    assert (await client.get(url)).content == bytes(range(100))
    init = await client.get(init_url)
    assert init.content == b"an init segment"
    assert init.headers["content-type"] == "video/mp4"
    assert init.headers["cache-control"] == "private, max-age=3600"


async def test_an_export_is_a_download_named_after_its_camera_and_real_start(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    answer = await client.get(f"{PORCH}/export.mp4", params=RANGE)
    assert answer.status_code == 200
    assert answer.content == bytes(range(100))
    assert answer.headers["content-length"] == "100"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["etag"] == '"abc-1"'
    assert answer.headers["content-disposition"] == 'attachment; filename="porch_2023-11-14T22-12-20Z.mp4"'
    assert backend.player.source.times_closed == 1


async def test_a_closed_segment_may_be_cached_and_an_open_one_not(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    path = f"{PORCH}/segments/{SEGMENT_ID}.mp4"
    assert (await client.get(path)).headers["cache-control"] == "private, max-age=3600"
    backend.player.source.closed = False
    assert (await client.get(path)).headers["cache-control"] == "no-store"


async def test_an_init_segment_is_sent_by_range(client: httpx.AsyncClient) -> None:
    path = f"{PORCH}/segments/{SEGMENT_ID}/init.mp4"
    whole = await client.get(path)
    assert whole.status_code == 200
    part = await client.get(path, headers={"Range": f"bytes=0-{len(whole.content) - 1}"})
    assert part.status_code == 206
    assert part.headers["content-range"] == f"bytes 0-{len(whole.content) - 1}/{len(whole.content)}"
    assert part.content == whole.content


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/cameras/gate/segments/{SEGMENT_ID}.mp4",
        f"/api/v1/cameras/unknown/segments/{SEGMENT_ID}.mp4",
        f"/api/v1/cameras/unknown/segments/{SEGMENT_ID}/init.mp4",
        f"/api/v1/cameras/gate/segments/{SEGMENT_ID}/init.mp4",
        f"{PORCH}/segments/00000000-0000-7000-8000-000000000000.mp4",
        f"{PORCH}/segments/..%2f..%2fetc%2fpasswd.mp4",
        f"{PORCH}/segments/x.mp4",
        "/api/v1/cameras/unknown/recordings",
        "/api/v1/cameras/NOT_A_SLUG/recordings",
        "/api/v1/cameras/unknown/snapshot.jpg",
    ],
)
async def test_what_does_not_exist_is_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_picture_of_the_past_comes_from_the_recordings(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PORCH}/snapshot.jpg", params={"at": rfc3339(NOW_NS - NS)})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["cache-control"] == "private, max-age=60"
    missing = await client.get(f"{PORCH}/snapshot.jpg", params={"at": rfc3339(NOW_NS - DAY_NS)})
    assert missing.status_code == 404
    assert "nothing was recorded" in missing.json()["detail"]


@given(
    st.text(max_size=40)
    | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", fullmatch=True)
)
def test_any_text_is_a_time_or_a_wrong_parameter(text: str) -> None:
    try:
        moment_ns = parse_time(text, "at")
    except InvalidParameter:
        return
    assert 0 <= moment_ns < 1 << 63


@given(st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=st.timezones()))
def test_a_time_means_what_the_standard_library_says(moment: datetime) -> None:
    text = moment.isoformat()
    assume(re.search(r"[+-]\d\d:\d\d$", text) is not None)
    expected_us = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_time(text, "at") == expected_us * 1000
