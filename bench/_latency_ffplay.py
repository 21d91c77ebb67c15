"""ffplay as a player of the latency bench: its window on a screen without a monitor, whose pixels are looked at every
half millisecond.

A picture is shown at the first look that finds it, so a look late (`looked_p99_ms`: how far apart two were) counts
as ffplay's. No wait for a screen's refresh is in it: what ffplay gave out is on this screen at once. Pictures are
drawn by the processor, as there is no graphics card; that takes some milliseconds more than one would.

Belongs here: ffplay. Does not: the screen (_screen), figures (latency).
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from bench._latency_ages import CAMERA, PATIENCE_S, Ages, freezes
from bench._screen import CHANNELS, PROGRAM, Screen
from vms.virtual_camera import read_clock
from vms.virtual_camera.clock_strip import strip_rows

PROGRAMS = ("ffplay", PROGRAM)
OVER_TCP = ("-rtsp_transport", "tcp")
LOW_LATENCY = (
    *("-fflags", "nobuffer", "-flags", "low_delay", "-framedrop"),
    *("-probesize", "32", "-analyzeduration", "0", "-sync", "ext"),
)
"""What is usually advised."""
AT_ONCE = (*LOW_LATENCY, "-vf", "setpts=0")
"""No time stamp left to wait for: a picture is shown when it is decoded."""
_LOOK_S = 0.0005
_ENVIRONMENT = {"SDL_VIDEODRIVER": "x11", "SDL_RENDER_DRIVER": "software", "SDL_AUDIODRIVER": "dummy"}


def ffplay(job: dict[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """Play with these options; see _latency_sides for `job` and the answer."""
    window = ("-left", "0", "-top", "0", "-noborder")
    command = ["ffplay", "-v", "error", *window, *options, job["url"]]
    with Screen(CAMERA.width, CAMERA.height) as screen:
        environment = {**os.environ, **_ENVIRONMENT, **screen.environment}
        player = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
        try:
            return _watch(screen, player, Ages(job["seconds"]))
        finally:
            player.kill()
            player.wait()


def _watch(screen: Screen, player: subprocess.Popen[bytes], ages: Ages) -> dict[str, Any]:
    strip_end = strip_rows(screen.height)
    picture = bytearray(screen.stride * screen.height)
    seen, shown_wall_ms, unclear = b"", 0, False
    looked_s = shown_s = time.monotonic()
    apart_ms: list[float] = []
    while not ages.complete:
        time.sleep(_LOOK_S)
        strip, now_ms, now_s = screen.rows(0, strip_end), time.time() * 1000, time.monotonic()
        apart_ms.append((now_s - looked_s) * 1000)
        looked_s = now_s
        if strip != seen:
            picture[: len(strip)] = seen = strip
            reading = read_clock(picture, screen.width, screen.height, screen.stride, CHANNELS)
            unclear = reading is None  # black as yet, or half drawn: then the next look finds it whole
            if reading is not None and reading.wall_ms != shown_wall_ms:
                shown_wall_ms, shown_s = reading.wall_ms, now_s
                ages.note(reading, now_ms)
        elif unclear and shown_wall_ms:
            unclear = False
            ages.note(None, now_ms)
        elif player.poll() is not None:
            sys.exit("bench latency: ffplay ended; its message is above")
        elif now_s > shown_s + PATIENCE_S:
            sys.exit(f"bench latency: ffplay showed no picture for {PATIENCE_S:.0f} s")
    looked_p99_ms = round(quantiles(apart_ms, n=100)[98], 1)
    result = {"freezeCount": freezes(ages.shown_ms), "looked_p99_ms": looked_p99_ms}
    return ages.result() | result
