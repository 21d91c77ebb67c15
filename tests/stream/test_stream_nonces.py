"""No key, SSRC and index ever encrypt two different packets (RFC 7714 §9.1), whatever happens to a viewer.

Looked at where it counts: what the cipher is called with, key and nonce, for RTP, RTX and RTCP alike.
"""

import random
from collections.abc import Iterator
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.stream.scripted_stream import CAMERA
from tests.stream.test_stream_viewer import ConnectedPeer, Source

from vms.common.clock import ManualClock
from vms.stream.webrtc.viewer import Viewer, ViewerMedia
from vms.wire import rtcp, rtp
from vms.wire.rtcp import unix_ns_to_ntp
from vms.wire.webrtc import srtp
from vms.wire.webrtc.frame import Frame, HeaderFormat

SSRC, RTX_SSRC = 7, 8
LEAPS, LEAP_PACKETS = 3, 25_000  # which pass the end of the sequence numbers


class Watched:
    """AES-GCM that remembers what each key and nonce encrypted."""

    seen: ClassVar[dict[tuple[bytes, bytes], tuple[bytes, bytes | None]]] = {}

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.cipher = AESGCM(key)
        self.decrypt = self.cipher.decrypt

    def encrypt(self, nonce: bytes, data: bytes, header: bytes | None) -> bytes:
        known = self.seen.setdefault((self.key, nonce), (data, header))
        assert known == (data, header), "a key and nonce were used for two packets"
        return self.cipher.encrypt(nonce, data, header)


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(srtp, "AESGCM", Watched)
    yield
    Watched.seen.clear()


class Protected(ConnectedPeer):
    """A connection that protects its reports too."""

    def send_rtcp(self, packets: list[rtcp.Packet]) -> None:
        self.srtp.protect_rtcp(rtcp.pack(packets))


class Numbered(Source):
    """A stream of pictures without content."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.next_video_index = first
        self.ticks = first

    def frame(self, packets: int, now_ns: int, *, key: bool) -> Frame:
        self.ticks += 3600
        frame = Frame(
            [self.ticks.to_bytes(5, "big") + bytes(at % 2 * (packets < 100)) for at in range(packets)],
            self.next_video_index,
            self.ticks,
            video=True,
            key=key,
            marker=True,
            capture_ns=now_ns,
            capture_ntp=unix_ns_to_ntp(now_ns),
            pushed_ns=now_ns,
        )
        self.next_video_index += packets
        self.gop = [frame] if key else [*self.gop, frame][:20]
        return frame


ACTIONS = [
    "send",
    "send",
    "send",
    "key",
    "leap",
    "miss",
    "nack",
    "pli",
    "switch",
    "full",
    "drain",
    "drain",
    "wait",
]
STEPS = 150


@pytest.mark.parametrize("rtx", [False, True], ids=["as it was", "rtx"])
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 1 << 32))
def test_no_key_and_nonce_encrypt_two_packets(rtx: bool, seed: int) -> None:
    Watched.seen.clear()
    peer, clock, chance = Protected(), ManualClock(), random.Random(seed)
    sources = [Numbered(chance.randrange(200)) for _ in range(2)]  # numbers of both are in each other's way
    video = HeaderFormat(SSRC, 96, playout_delay=5, abs_capture_time=3)
    media = ViewerMedia(
        video, 90_000, "porch", rtx=video._replace(ssrc=RTX_SSRC, payload_type=97) if rtx else None
    )
    viewer = Viewer(
        "s", CAMERA, peer, media, source=sources[0], clock=clock, on_closed=lambda viewer, reason: None
    )
    viewer.connected()
    leaps = 0
    for _ in range(STEPS):
        action, now_ns = chance.choice(ACTIONS), clock.monotonic_ns()
        match action:
            case "send" | "key" | "leap" | "miss":
                source, packets = chance.choice(sources), chance.randint(1, 70)
                if action == "leap" and leaps < LEAPS:
                    leaps, packets, source = leaps + 1, LEAP_PACKETS, viewer.source
                    peer.port.has_room(1000)
                frame = source.frame(packets, now_ns, key=action in {"key", "leap"})
                if action != "miss":
                    viewer.deliver(frame, now_ns, source)
            case "nack":
                sent = [rtp.parse(header) for header in peer.port.packets[-200:]]
                numbers = [header.sequence_number for header in sent if header.ssrc == SSRC] or [0]
                viewer.feedback([rtcp.Nack(1, SSRC, tuple(chance.choices(numbers, k=5)))])
            case "pli":
                viewer.feedback([rtcp.PictureLossIndication(1, SSRC)])
            case "switch":
                viewer.switch(chance.choice(sources))
            case "full":
                peer.port.has_room(chance.randrange(4))
            case "drain":
                peer.port.has_room(1000)
                viewer.drain(chance.choice([100, 1 << 20]), now_ns)
            case _:
                clock.advance(chance.choice([0.04, 1.2]))
    assert {nonce for _, nonce in Watched.seen}


def test_the_watch_sees_a_nonce_that_is_used_twice() -> None:
    keys = srtp.SrtpKeys.of_server(srtp.SrtpProfile.AEAD_AES_128_GCM, bytes(56))
    sender = srtp.SrtpSession(keys).rtp
    sender.protect(SSRC, 1, [b"header"], [b"one"])
    sender.protect(SSRC, 1, [b"header"], [b"one"])
    with pytest.raises(AssertionError, match="two packets"):
        sender.protect(SSRC, 1, [b"header"], [b"two"])
