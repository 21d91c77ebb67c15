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


@pytest.mark.parametrize("link", ["impaired", "lossy"])
def test_a_viewer_goes_on_over_30_ms_of_round_trip_with_loss(link: str) -> None:
    (seen,) = measure(link, ["browser"], SECONDS)
    # Shares of what came, not of the time: how many pictures there are in it is up to the machine.
    assert seen["packetsLost"] > 0
    assert seen["retransmittedPacketsReceived"] > 0.7 * seen["packetsLost"], "what is sent again may be lost"
    assert seen["framesDecoded"] + seen["framesDropped"] > 0.8 * seen["framesReceived"] > 0
    # Read from the pixels; the browser need not tell of each one.
    assert seen["pictures"] > 0
    assert seen["unreadable"] <= 0.02 * seen["pictures"]
    assert seen["freezeCount"] >= 0
