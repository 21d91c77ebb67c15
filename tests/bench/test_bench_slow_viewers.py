"""The bench of slow viewers stops what it says, and measures the others."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_a_short_run_tells_of_the_others_alone_and_beside_viewers_that_take_nothing() -> None:
    command = ["--viewers", "2", "--stuck", "2", "--seconds", "1", "--settle", "0.1", "--json"]
    run = subprocess.run(
        [sys.executable, "-m", "bench.slow_viewers", *command, "--protocols", "websocket"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    websocket = result["websocket"]
    assert [row["joined"] for row in websocket["rows"]] == [2, 2]
    for row, delivered in zip(websocket["rows"], websocket["delivered"], strict=True):
        assert delivered > 0.9 or row["machine_busy"] > 0.9
    assert set(websocket["delay_ratio"]) == {"p50", "p95", "p99"}
