from collections.abc import Sequence
from pathlib import Path

import av
import pytest
from tests.format.format_material import AUDIO, VIDEO, decoded_frames, encoded_video, footage_units, unit

from vms.format.errors import FormatError
from vms.format.picture import decode_jpeg
from vms.media import AccessUnit, Codec


def _jpeg(units: Sequence[AccessUnit], **options: int) -> av.VideoFrame:
    data = decode_jpeg(units[0].track, [each.data for each in units], **options)
    assert data[:2] == b"\xff\xd8"
    assert data[-2:] == b"\xff\xd9"
    decoder = av.CodecContext.create("mjpeg", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    (frame,) = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    return frame


def _thinned(frame: av.VideoFrame) -> bytes:
    """Luma, of full range, of every eighth pixel of every eighth row."""
    plane = frame.reformat(format="yuvj420p").planes[0]
    data = bytes(plane)
    return b"".join(data[y * plane.line_size :][: frame.width : 8] for y in range(0, frame.height, 8))


def _difference(one: bytes, other: bytes) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


@pytest.mark.parametrize("codec, b_frames", [(Codec.H264, 0), (Codec.H264, 2), (Codec.H265, 2)])
def test_jpeg_shows_the_picture_of_the_last_unit(codec: Codec, b_frames: int) -> None:
    units = encoded_video(codec, 30, b_frames=b_frames)
    in_order_of_output = sorted(each.pts for each in units)
    shown = [_thinned(frame) for frame in decoded_frames(units)]
    for last in range(8, 16):
        luma = _thinned(_jpeg(units[: last + 1], quality=1))
        nearest = min(range(len(shown)), key=lambda index: _difference(luma, shown[index]))
        assert in_order_of_output[nearest] == units[last].pts
        assert _difference(luma, shown[nearest]) < 4


def test_jpeg_is_scaled_down_and_never_up() -> None:
    units = encoded_video(Codec.H264, 3)
    small = _jpeg(units, max_width=80)
    assert (small.width, small.height) == (80, 60)
    same = _jpeg(units, max_width=4000)
    assert (same.width, same.height) == (160, 120)


def test_jpeg_of_real_footage(footage: dict[str, Path]) -> None:
    units = footage_units(footage["vtest"])[:12]
    picture = _jpeg(units)
    assert (picture.width, picture.height) == (768, 576)


def test_a_broken_last_picture_gives_the_one_before() -> None:
    units = list(encoded_video(Codec.H264, 10))
    broken = [*units[:5], units[5]._replace(data=(40).to_bytes(4) + b"\xff" * 40)]
    assert _thinned(_jpeg(broken)) == _thinned(_jpeg(units[:5]))


@pytest.mark.parametrize(
    "units",
    [[], [unit(VIDEO, 0)], [unit(AUDIO, 0)], [unit(VIDEO, 0, data=b"\0\0\0\1\x65")] * 3],
    ids=["none", "noise", "sound", "headers alone"],
)
def test_what_gives_no_picture_is_a_format_error(units: list[AccessUnit]) -> None:
    track = units[0].track if units else VIDEO
    with pytest.raises(FormatError):
        decode_jpeg(track, [each.data for each in units])
