"""The bench of protocols other than WebRTC: a short run of each gives every player all pictures and ends in the ratio."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench._fanout_pictures import number_inside, numbers_inside, picture
from bench._fanout_websocket import frames, node_websocket_available

from vms.format.mp4.live import LiveSample, build_live_fragment
from vms.stream.websocket.framing import Opcode, frame

REPOSITORY = Path(__file__).parents[2]


def fragment(numbers: range, frame_bytes: int = 3_000) -> bytes:
    samples = [LiveSample(data, 3_600, 0, key) for data, key in (picture(frame_bytes, n) for n in numbers)]
    return build_live_fragment(1, 1, 0, samples)


def test_a_player_knows_the_pictures_in_a_fragment_and_in_a_segment_of_fragments() -> None:
    assert number_inside(fragment(range(50, 51))) == (50, True)
    assert number_inside(fragment(range(51, 52))) == (51, False)
    segment = fragment(range(100, 108)) + fragment(range(108, 110), frame_bytes=600)
    assert numbers_inside(segment) == [(100, True), *((number, False) for number in range(101, 110))]


def test_a_player_takes_only_whole_frames_of_whatever_length() -> None:
    payloads = [b"a" * length for length in (0, 125, 126, 65_535, 65_536)]
    data = b"".join(frame(Opcode.BINARY, payload) for payload in payloads)
    assert [data[begin:end] for _, begin, end in frames(data)] == payloads
    for cut in (1, 2, 3, 9, 65_536):
        assert [data[begin:end] for _, begin, end in frames(data[:-cut])] == payloads[:-1]


def run(*command: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-m", "bench.fanout_protocols", *command, "--json"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("protocol", "peer"),
    [
        pytest.param("rtsp", "gstreamer", marks=pytest.mark.needs("gst-rtsp-server")),
        pytest.param(
            "websocket",
            "ws",
            marks=pytest.mark.skipif(not node_websocket_available(), reason="the web app is not set up"),
        ),
        pytest.param("hls", "nginx", marks=pytest.mark.needs("nginx", "ffmpeg")),
        ("hls_parts", None),
    ],
)
def test_a_short_run_gives_the_players_of_both_sides_all_pictures(protocol: str, peer: str | None) -> None:
    load = ("--viewers", "3", "--rates", "600k", "--seconds", "1", "--settle", "0")
    found = run("--protocols", protocol, *load)[protocol]
    sides = {row["side"]: row for row in found["rows"]}
    assert list(sides) == (["vms", peer] if peer else ["vms"])
    for row in sides.values():
        assert (row["viewers"], row["joined"], row["frame_bytes"]) == (3, 3, 3_000)
        assert row["delivered"] > 0.9 or row["machine_busy"] > 0.9
        assert row["cpu"] > 0
    if peer:
        expected = sides["vms"]["cpu_per_viewer"] / sides[peer]["cpu_per_viewer"]
        assert found[f"ratio_to_{peer}"] == pytest.approx(expected, rel=0.01)
    if peer == "nginx":
        assert found["packager_cpu"]["3x3000"] > 0, "what ffmpeg costs is told beside nginx"
