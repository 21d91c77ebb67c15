"""The latency bench reads the clock that a camera drew into its pictures, by each protocol, in a short run of the whole;
of ffplay from the pixels of its window.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench._latency_ages import Ages, freezes
from bench._screen import CHANNELS, Screen

from vms.virtual_camera import ClockReading

REPOSITORY = Path(__file__).parents[2]


def test_a_picture_is_frozen_that_stands_for_longer_than_usual() -> None:
    steady = [40.0 * number for number in range(10)]
    assert freezes(steady) == 0
    assert freezes(steady[:1]) == 0, "which nothing came after"
    assert freezes([*steady, steady[-1] + 189]) == 0
    assert freezes([*steady, steady[-1] + 191, steady[-1] + 400]) == 2
    assert freezes([0.0, 500.0, 1_000.0, 2_501.0]) == 1, "of a slow camera three intervals are"


def test_ages_are_of_two_pictures_at_least_however_long_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench._latency_ages.WARM_UP_S", 0.0)
    ages = Ages(seconds=0.0)
    ages.note(ClockReading(wall_ms=1_000, camera=1), 1_040.0)
    assert not ages.complete, "of one picture there is no distribution"
    ages.note(ClockReading(wall_ms=1_040, camera=1), 1_090.0)
    assert ages.complete
    assert ages.result() == {"ages_ms": [40.0, 50.0], "unreadable": 0}


def run(*arguments: str, search: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    """A short run on loopback. search: where programs are looked for."""
    command = [sys.executable, "-m", "bench.latency", "--seconds", "2", "--links", "loopback", "--json"]
    return subprocess.run(
        [*command, *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"PATH": search},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.e2e
@pytest.mark.needs("chromium", "ffmpeg", "ffplay", "Xvfb")
def test_a_short_run_gives_the_age_of_what_each_player_shows() -> None:
    sides = ["websocket", "rtsp", "rtsp_ffplay"]
    ended = run("--sides", *sides)
    assert ended.returncode == 0, ended.stderr
    rows = {row["side"]: row for row in json.loads(ended.stdout.splitlines()[-1])["rows"]}
    assert list(rows) == sides
    for row in rows.values():
        assert row["pictures"] > 1
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["max_ms"]
    for side in ("websocket", "rtsp_ffplay"):
        assert rows[side]["freezeCount"] >= 0
    assert rows["rtsp_ffplay"]["looked_p99_ms"] > 0


@pytest.mark.needs("ffplay", "Xvfb")
def test_what_a_program_draws_on_the_screen_is_read_as_soon_as_it_is_there() -> None:
    colour = (0x40, 0x80, 0xC0)  # blue, green, red
    source = ("-f", "lavfi", "-i", "color=0xC08040:size=320x240", "-noborder", "-left", "0", "-top", "0")
    drivers = {"SDL_VIDEODRIVER": "x11", "SDL_RENDER_DRIVER": "software", "SDL_AUDIODRIVER": "dummy"}
    with Screen(320, 240) as screen:
        assert screen.rows(0, 240) == bytes(320 * 240 * CHANNELS), "it begins black"
        command = ["ffplay", "-v", "error", *source]
        drawing = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=os.environ | drivers | screen.environment
        )
        try:
            deadline = time.monotonic() + 60
            while not any(pixels := screen.rows(0, 1)):  # the pointer is in the middle
                assert drawing.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            drawing.kill()
            drawing.wait()
    assert pixels[:3] == pytest.approx(colour, abs=4), "of YUV and back"


def test_a_player_that_is_not_installed_is_left_out_and_named() -> None:
    ended = run("--sides", "ffplay", "rtsp", search="")
    assert ended.returncode != 0
    assert "ffplay is left out: not installed (scripts/setup-dev.sh): ffplay, Xvfb" in ended.stderr
    assert "rtsp is left out: not installed (scripts/setup-dev.sh): ffmpeg" in ended.stderr
    assert "none of these players can run here" in ended.stderr
