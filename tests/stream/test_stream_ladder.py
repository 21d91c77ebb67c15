"""The ladder: the soonest way first, and of each that cannot be gone the reason."""

from dataclasses import replace

from tests.stream.scripted_stream import h264_pictures, track_of

from vms.common.stream_name import StreamName
from vms.format.codecs import audio_track
from vms.media import Codec
from vms.stream.ladder import LiveProtocol, Offered, Option, ladder

MAIN, SUB, COMPAT = StreamName.MAIN, StreamName.SUB, StreamName.COMPAT
VIDEO = track_of(h264_pictures())
H265 = replace(VIDEO, codec=Codec.H265)


def steps(options: list[Option]) -> list[tuple[str, str, bool, str | None]]:
    return [(o.protocol.value, o.stream.value, o.playable, o.reason) for o in options]


def test_a_stream_without_b_frames_is_watched_over_webrtc_as_it_is() -> None:
    assert steps(ladder({MAIN: Offered([VIDEO])}, MAIN)) == [
        ("webrtc", "main", True, None),
        ("websocket", "main", True, None),
        ("webrtc", "compat", False, "no_transcoder"),
        ("hls", "main", True, None),
        ("rtsp", "main", True, None),
    ]


def test_b_frames_go_over_websocket_before_they_are_transcoded() -> None:
    options = ladder({MAIN: Offered([VIDEO], reorders=True)}, MAIN, transcodes=True)
    assert steps(options)[:3] == [
        ("webrtc", "main", False, "b_frames"),
        ("websocket", "main", True, None),
        ("webrtc", "compat", True, None),
    ]
    assert options[1].mime_type is not None and options[1].mime_type.startswith('video/mp4; codecs="avc1.')
    assert options[2].transcoded and not options[1].transcoded


def test_h265_is_transcoded_for_a_viewer_that_does_not_play_it() -> None:
    options = ladder({MAIN: Offered([H265])}, MAIN, transcodes=True)
    assert steps(options)[:3] == [
        ("webrtc", "main", False, "codec"),
        ("websocket", "main", False, "unsupported"),
        ("webrtc", "compat", True, None),
    ]
    assert "H.265" in options[1].detail


def test_the_stream_that_suits_the_tile_comes_before_the_other() -> None:
    offered = {MAIN: Offered([VIDEO]), SUB: Offered([VIDEO])}
    assert [o.stream for o in ladder(offered, SUB)][:4] == [SUB, SUB, MAIN, MAIN]
    assert [o.stream for o in ladder(offered, MAIN)][:4] == [MAIN, MAIN, SUB, SUB]


def test_a_sub_stream_that_nobody_has_watched_yet_is_tried() -> None:
    options = ladder({MAIN: Offered([VIDEO]), SUB: Offered()}, SUB)
    assert steps(options)[:2] == [("webrtc", "sub", True, None), ("websocket", "sub", False, "not_live")]


def test_players_are_given_both_streams_by_hls() -> None:
    options = ladder({MAIN: Offered([VIDEO]), SUB: Offered()}, MAIN)
    assert steps(options)[-3:] == [
        ("hls", "main", True, None),
        ("hls", "sub", True, None),
        ("rtsp", "main", True, None),
    ]


def test_nothing_is_playable_of_a_camera_that_sent_nothing() -> None:
    options = ladder({MAIN: Offered()}, MAIN)
    assert not any(option.playable for option in options)
    assert {option.reason for option in options} == {"not_live", "no_transcoder"}
    options = ladder({MAIN: Offered()}, MAIN, transcodes=True)
    assert not any(option.playable for option in options)
    assert {option.reason for option in options} == {"not_live"}


def test_sound_that_browsers_do_not_take_is_said_to_be_left_out() -> None:
    sound = audio_track(2, Codec.PCMA, sample_rate=8000, channels=1)
    options = ladder({MAIN: Offered([VIDEO, sound])}, MAIN)
    (websocket,) = [o for o in options if o.protocol is LiveProtocol.WEBSOCKET]
    assert websocket.playable
    assert websocket.detail == "without sound: browsers do not play G.711 A-law in MP4"


def test_callers_of_srt_are_told_of_every_stream_where_they_are_served() -> None:
    offered = {MAIN: Offered([H265], reorders=True), SUB: Offered()}
    options = ladder(offered, MAIN, srt=True)
    assert steps([each for each in options if each.protocol is LiveProtocol.SRT]) == [
        ("srt", "main", True, None),
        ("srt", "sub", True, None),
    ]
    assert (
        options.index(next(each for each in options if each.protocol is LiveProtocol.RTSP)) < len(options) - 2
    )
    assert LiveProtocol.SRT not in {each.protocol for each in ladder(offered, MAIN)}
