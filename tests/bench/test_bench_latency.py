"""The latency bench reads the clock that a camera drew into its pictures, by each protocol, in a short run of the whole."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench._latency_pages import freezes

REPOSITORY = Path(__file__).parents[2]


def test_a_picture_is_frozen_that_stands_for_longer_than_usual() -> None:
    steady = [40.0 * number for number in range(10)]
    assert freezes(steady, 40.0) == 0
    assert freezes([*steady, steady[-1] + 189], 40.0) == 0
    assert freezes([*steady, steady[-1] + 191, steady[-1] + 400], 40.0) == 2
    assert freezes([0.0, 500.0, 1_000.0, 2_501.0], 500.0) == 1, "of a slow camera three intervals are"


@pytest.mark.e2e
@pytest.mark.needs("chromium", "ffmpeg")
def test_a_short_run_gives_the_age_of_what_each_player_shows() -> None:
    sides = ("websocket", "rtsp")
    command = [sys.executable, "-m", "bench.latency", "--seconds", "2", "--links", "loopback", "--json"]
    run = subprocess.run(
        [*command, "--sides", *sides],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows = {row["side"]: row for row in json.loads(run.stdout.splitlines()[-1])["rows"]}
    assert tuple(rows) == sides
    for row in rows.values():
        assert row["pictures"] > 2
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["max_ms"]
    assert rows["websocket"]["freezeCount"] >= 0
