"""The fan-out bench measures what it says: its pictures can be told apart, and a short run of it ends in the ratio."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench._fanout_pictures import number_of, picture

from vms.wire.payload import h264

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [0, 1, 49, 50, 127, 128, 16_384, 2_000_000])
def test_the_last_packet_of_a_picture_says_which_picture_it_is_of(number: int) -> None:
    for frame_bytes in (600, 3_000, 10_000):
        data, key = picture(frame_bytes, number)
        assert key == (number % 50 == 0)
        assert number_of(h264.packetize(data, 1_000)[-1]) == (number, key)
        assert b"\x00\x00\x01" not in data[40:]


@pytest.mark.needs("janus")
def test_a_short_run_gives_each_side_all_pictures_and_ends_in_the_ratio() -> None:
    command = ["--viewers", "3", "--rates", "600k", "--seconds", "1", "--sides", "vms", "janus", "--json"]
    run = subprocess.run(
        [sys.executable, "-m", "bench.fanout", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    sides = {row["side"]: row for row in result["rows"]}
    assert set(sides) == {"vms", "janus"}
    for row in sides.values():
        assert (row["viewers"], row["joined"], row["frame_bytes"]) == (3, 3, 3_000)
        assert row["delivered"] > 0.9 or row["machine_busy"] > 0.9
        assert row["srtp_profile"] == "AEAD_AES_128_GCM"
        assert row["cpu"] > 0
    expected = sides["vms"]["cpu_per_viewer"] / sides["janus"]["cpu_per_viewer"]
    assert (
        result["ratio_to_janus"] == result["ratios_to_janus"]["3x3000"] == pytest.approx(expected, abs=0.001)
    )
