"""Stream ids: what callers write, and what nobody should."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.wire.srt import Mode, StreamId, StreamIdInvalid, parse_stream_id, stream_id_text

PORCH = CameraId("porch")
MAIN, SUB, COMPAT = StreamName.MAIN, StreamName.SUB, StreamName.COMPAT


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("porch", StreamId(PORCH)),
        ("read:porch", StreamId(PORCH)),
        ("porch/sub", StreamId(PORCH, SUB)),
        ("/porch/main", StreamId(PORCH, MAIN)),
        ("publish:porch", StreamId(PORCH, mode=Mode.PUBLISH)),
        ("publish:porch:anna:secret", StreamId(PORCH, mode=Mode.PUBLISH, user="anna")),
        ("read:porch/compat:until:17", StreamId(PORCH, COMPAT, until_ns=17)),
        ("#!::r=porch", StreamId(PORCH)),
        ("#!::m=publish,r=porch,u=anna", StreamId(PORCH, mode=Mode.PUBLISH, user="anna")),
        ("#!::r=porch,s=sub,m=request,h=example.net,t=stream", StreamId(PORCH, SUB)),
        ("#!::r=porch/sub,until=17", StreamId(PORCH, SUB, until_ns=17)),
        ("%23!::r%3Dporch,m=request", StreamId(PORCH)),
    ],
)
def test_a_stream_id_says_camera_stream_and_direction(text: str, wanted: StreamId) -> None:
    assert parse_stream_id(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Porch",
        "porch/other",
        "porch/sub/main",
        "../porch",
        "delete:porch",
        "porch\n",
        "#!::",
        "#!::r=",
        "#!::r=porch,r=garage",
        "#!::r=porch,m",
        "#!::r=porch,m=bidirectional",
        "#!::r=porch,t=file",
        "#!::r=porch/sub,s=main",
        "#!::r=porch,s=secret",
        "#!::r=porch,until=soon",
        "#!::r=porch,until=-1",
        "read:porch:until:٣",
        "#!:{r=porch}",
        "p" * 513,
        "#!::" + ",".join(f"k{n}=1" for n in range(17)),
    ],
)
def test_what_says_nothing_we_know_is_refused(text: str) -> None:
    with pytest.raises(StreamIdInvalid):
        parse_stream_id(text)


def test_an_error_repeats_nothing_that_may_be_a_secret() -> None:
    for text in (
        "hunter2!",
        "publish:Porch:anna:hunter2!",
        "#!::r=hunter2!,m=publish",
        "#!::r=porch,s=hunter2!",
    ):
        with pytest.raises(StreamIdInvalid) as refused:
            parse_stream_id(text)
        assert "hunter2" not in str(refused.value)


_WANTED = st.builds(
    StreamId,
    camera_id=st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z").map(CameraId),
    stream=st.sampled_from(StreamName),
    mode=st.sampled_from(Mode),
    until_ns=st.none() | st.integers(0, 10**19 - 1),
)


@given(_WANTED)
def test_what_is_written_is_read_again(wanted: StreamId) -> None:
    text = stream_id_text(wanted)
    assert parse_stream_id(text) == wanted
    assert not set(text) & set("#&?%+ ")  # so that no program has to escape it in an address


@given(st.text(max_size=600) | st.text("#!:=,{}/%23rmsut porch", max_size=64))
@example("#!::" + "=" * 500)
@example("%23!" + "%" * 400)
@settings(max_examples=500)
def test_whatever_comes_gives_a_stream_id_or_a_typed_error(text: str) -> None:
    for each in (text, "#!::" + text, "#!::r=porch," + text, "publish:" + text):
        try:
            found = parse_stream_id(each)
        except StreamIdInvalid:
            continue
        assert found.mode in Mode and found.stream in StreamName
