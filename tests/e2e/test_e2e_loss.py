"""Chromium watches over a network that loses packets: it goes on, what is lost is sent again, and freezes are counted.

VMS_LOSS_SECONDS=60 watches longer.
"""

import os

import pytest
from bench._link import why_not
from bench.latency import measure

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.needs("chromium"),
]

SECONDS = float(os.environ.get("VMS_LOSS_SECONDS", "8"))
FPS = 25


@pytest.mark.parametrize(("link", "freezes_a_minute"), [("impaired", 30), ("lossy", 120)])
def test_a_viewer_goes_on_over_30_ms_of_round_trip_with_loss(link: str, freezes_a_minute: float) -> None:
    (seen,) = measure(link, ["browser"], SECONDS)
    assert seen["packetsLost"] > 0
    assert seen["retransmittedPacketsReceived"] > 0
    assert seen["framesDecoded"] > 0.7 * FPS * SECONDS
    # Read from the pixels; the browser need not tell of each one.
    assert seen["pictures"] > 0.4 * FPS * SECONDS
    assert seen["unreadable"] <= 0.02 * seen["pictures"]
    assert seen["freezeCount"] <= max(4, freezes_a_minute * SECONDS / 60)
