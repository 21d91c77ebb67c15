"""Session descriptions that were bent at random: a typed error, or lines that can be set up; nothing else."""

import random
import time

import pytest

from vms.wire.depayload.by_codec import make_depayloader
from vms.wire.errors import ProtocolError
from vms.wire.reception import Reception
from vms.wire.rtsp.media_line import media_lines
from vms.wire.sdp import SessionDescription

SECONDS = 2.5
SEEDS = [
    b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n"
    b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z00AKpWoHgCJ+WE=,aO48gA==\r\na=control:trackID=1\r\n"
    b"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\n"
    b"a=fmtp:97 mode=AAC-hbr;config=1190;sizelength=13;indexlength=3;indexdeltalength=3\r\na=control:rtsp://h/2\r\n",
    b"v=0\nm=video 0 RTP/AVP 35 97\na=rtpmap:97 H265/90000\n"
    b"a=fmtp:97 sprop-vps=QAEMAf//;sprop-sps=QgEBBAgAAAMAmAgAAAMAAD+Q;sprop-pps=RAHAcDBgMSA=\n"
    b"m=audio 0 RTP/AVP 0 8\nm=audio 0 RTP/AVP 99\na=rtpmap:99 opus/48000/2\na=control:/x?y=1\n",
]
PIECES = [b"\r\n", b":", b";", b"=", b",", b" ", b"/", b"\0", b"\xff", b"m=", b"a=", b"99999999999999", b"-1"]


def bend(data: bytes, rng: random.Random) -> bytes:
    bent = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        at = rng.randrange(len(bent) + 1)
        match rng.randrange(4):
            case 0:
                bent[at : at + 1] = rng.randbytes(1)
            case 1:
                bent[at:at] = rng.choice(PIECES)
            case 2:
                del bent[at : at + rng.randint(1, 20)]
            case _:
                begin = rng.randrange(len(bent) + 1)
                bent[at:at] = bent[begin : begin + rng.randint(1, 60)]
    return bytes(bent)


@pytest.mark.parametrize("seed", SEEDS, ids=["h264+aac", "h265+opus"])
def test_any_description_is_read_or_refused(seed: bytes) -> None:
    rng = random.Random(20261123)
    until = time.monotonic() + SECONDS / len(SEEDS)
    tried = 0
    while time.monotonic() < until or tried <= 50:  # enough, however slow the machine is
        tried += 1
        try:
            session = SessionDescription.parse(bend(seed, rng))
        except ProtocolError:
            continue
        assert len(str(session)) < 4 * len(seed) + 4096
        for line in media_lines(session, "rtsp://192.0.2.1/stream?a=b"):
            assert (line.codec is None) == bool(line.unsupported)
            if line.codec is not None:
                make_depayloader(
                    line.codec,
                    receiver=_Nobody(),
                    timeline=Reception(line.clock_rate),
                    clock_rate=line.clock_rate,
                    parameter_sets=line.parameter_sets,
                    format_parameters=line.format_parameters,
                )


class _Nobody:
    def access_unit(self, data: bytes, rtp_timestamp: int, key: bool, lost: bool, arrival_ns: int) -> None:
        pass

    def parameter_sets(self, sets: tuple[bytes, ...]) -> None:
        pass
