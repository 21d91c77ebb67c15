import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.common.backoff import Backoff
from vms.common.camera import Camera
from vms.common.clock import NS
from vms.common.ids import camera_id, uuid7
from vms.common.quantities import format_duration, format_size, parse_duration_s, parse_size_bytes
from vms.common.source_url import SourceUrl, with_credentials
from vms.common.srt_url import SrtUrl


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("5min", 300), ("30d", 30 * 86400), (7, 7.0), ("1.5 h", 5400)]
)
def test_durations_are_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["5", "5 fortnights", "min", "-5s", None, True, [5]])
def test_a_wrong_duration_says_what_is_allowed(text: object) -> None:
    with pytest.raises(ValueError, match="5min or 30d"):
        parse_duration_s(text)


@given(st.integers(1, 10**9))
def test_durations_and_sizes_are_written_so_that_they_read_back(number: int) -> None:
    assert parse_duration_s(format_duration(number)) == number
    assert parse_size_bytes(format_size(number)) == number


@given(st.integers(0, 2**47), st.integers(0, 2**47))
def test_uuid7_sorts_by_time(first_ms: int, second_ms: int) -> None:
    first, second = uuid7(first_ms * 1_000_000), uuid7(second_ms * 1_000_000)
    assert first.version == 7
    assert (first < second) == (first_ms < second_ms) or first_ms == second_ms


@pytest.mark.parametrize("text", ["", "Porch", "a_b", "-a", "a-", "a" * 64, "../x"])
def test_a_camera_id_is_a_slug(text: str) -> None:
    with pytest.raises(ValueError, match="no camera id"):
        camera_id(text)


def test_backoff_doubles_to_its_longest_and_is_jittered() -> None:
    backoff = Backoff(1, 8, random.Random(1))
    delays = [backoff.next_s() for _ in range(6)]
    for delay, step in zip(delays, [1, 2, 4, 8, 8, 8], strict=True):
        assert step / 2 <= delay <= step
    backoff.reset()
    assert backoff.next_s() <= 1


SECRET = "p@ss:w/rd"


def test_a_source_url_shows_no_credentials() -> None:
    url = with_credentials("rtsp://192.0.2.10:8554/stream?channel=1&password=hunter2", "ad min", SECRET)
    assert (url.username, url.password, url.host, url.port) == ("ad min", SECRET, "192.0.2.10", 8554)
    for text in (str(url), repr(url), f"{url}", url.safe):
        assert "hunter2" not in text
        assert "w%2Frd" not in text
        assert "ad%20min" not in text
    assert url.without_userinfo() == "rtsp://192.0.2.10:8554/stream?channel=1&password=hunter2"
    assert SourceUrl(url.reveal()) == url


@pytest.mark.parametrize(
    "text", ["", "http://x/", "rtsp://", "rtsp:///path", "rtsp://host:port/", "rtsp://[::1/"]
)
def test_a_wrong_source_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rtsp://"):
        SourceUrl(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://h/user=admin_password=hunter2_channel=1.sdp", "rtsp://h/user=…"),
        ("rtsp://h/live;token=hunter2/main", "rtsp://h/live;token=…/main"),
        ("rtsp://h/live?hunter2", "rtsp://h/live?…"),
    ],
)
def test_values_in_a_path_or_query_are_not_shown(text: str, shown: str) -> None:
    assert SourceUrl(text).safe == shown
    assert SourceUrl(text).reveal() == text


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://user:12/34@host/path",
        "rtsp://user:12?34@host/path",
        "rtsp://user:12#34@host/path",
        "rtsp://user:p@ss/word@host/path",
        "rtsp://host/a b",
        "rtsp://host/a\r\nX: y",
        "rtsp://us%0d%0aer:x@host/",
        "rtsp://host/\0",
    ],
)
def test_an_address_whose_parts_are_in_doubt_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="holds a") as refused:
        SourceUrl(text)
    assert "34" not in str(refused.value)


@pytest.mark.parametrize("text", ["porch\n", "-porch", "porch-", "", "a" * 64])
def test_what_is_no_slug_is_no_camera_id(text: str) -> None:
    with pytest.raises(ValueError, match="no camera id"):
        camera_id(text)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300, "9" * 400 + "d", True])
def test_a_quantity_without_measure_is_refused(value: object) -> None:
    for parse in (parse_duration_s, parse_size_bytes):
        with pytest.raises(ValueError, match="write a number"):
            parse(value)


def test_uuid7_carries_its_time() -> None:
    assert uuid7(1_700_000_000 * NS).int >> 80 == 1_700_000_000_000


@pytest.mark.parametrize("text", ["whip://publish", "whip:", "whip://", "WHIP://PUBLISH", " whip://publish "])
def test_a_camera_that_is_published_has_one_address(text: str) -> None:
    source = SourceUrl(text)
    assert (source.scheme, source.safe, source.reveal()) == ("whip", "whip://publish", "whip://publish")
    assert source == SourceUrl("whip://publish")
    assert source.username is None


@pytest.mark.parametrize(
    "text", ["whip://u:p@publish", "whip://publish/x", "whip://192.0.2.7", "whip://publish?t=1"]
)
def test_a_published_camera_takes_no_credentials_and_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="must be whip://publish"):
        SourceUrl(text)


def test_a_sub_stream_cannot_be_published() -> None:
    camera = {"id": "stage", "name": "Stage", "source": "whip://publish"}
    assert Camera.model_validate(camera).source.scheme == "whip"
    with pytest.raises(ValueError, match="sub_source"):
        Camera.model_validate(camera | {"sub_source": "whip://publish"})


def test_an_address_for_srt_says_whom_to_call_and_shows_no_secret() -> None:
    text = "srt://[2001:db8::1]:9000?streamid=%23!::r=yard,m=request&passphrase=a%20b%26c+d-0123&latency=250&pbkeylen=32"
    source = SourceUrl(text)
    address = SrtUrl.parse(source.reveal())

    assert (address.host, address.port, address.latency_ms, address.key_bytes) == (
        "2001:db8::1",
        9000,
        250,
        32,
    )
    assert (address.stream_id, address.passphrase) == ("#!::r=yard,m=request", "a b&c+d-0123")
    assert (source.scheme, source.port) == ("srt", 9000)
    for shown in (str(source), repr(source), repr(address), address.safe):
        assert "0123" not in shown
        assert "yard" not in shown
    assert SourceUrl("srt://h:1?mode=caller&pkt_size=1316").reveal() == "srt://h:1?mode=caller&pkt_size=1316"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("srt://h", "no port"),
        ("srt://:9000", "no host"),
        ("srt://u:p@h:9000", "no user name"),
        ("srt://h:9000/stream", "has a path"),
        ("srt://h:9000?streamid=#!::r=x", "%23"),
        ("srt://h:9000?passphrase=short", "10 to 79"),
        ("srt://h:9000?passphrase=" + "x" * 80, "10 to 79"),
        ("srt://h:9000?passphrase=0123456789&passphrase=0123456789", "twice"),
        ("srt://h:9000?pass=0123456789", "not known"),
        ("srt://h:9000?latency", "not known"),
        ("srt://h:9000?latency=200000", "milliseconds"),
        ("srt://h:9000?latency=-1", "milliseconds"),
        ("srt://h:9000?pbkeylen=8", "16, 24, 32"),
        ("srt://h:9000?mode=listener", "whip://publish"),
        ("srt://h:9000?streamid=" + "x" * 513, "512"),
        ("srt://h:9000?passphrase=hunter2hunter2%FF", "passphrase is no UTF-8"),
    ],
)
def test_an_address_for_srt_that_cannot_be_called_is_refused_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        SourceUrl(text)
    assert "0123456789" not in str(caught.value)
