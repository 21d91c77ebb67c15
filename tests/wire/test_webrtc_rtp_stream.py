"""One track to one viewer: numbering, encryption, NACK, reports; above all, nonces."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vms.common.clock import NS
from vms.wire import rtp
from vms.wire.rtcp import ntp_to_unix_ns, unix_ns_to_ntp
from vms.wire.webrtc.frame import MAX_EXTENSION_BYTES, MAX_PAYLOAD_BYTES, Frame, HeaderFormat
from vms.wire.webrtc.rtp_stream import HISTORY_NS, MOST_AHEAD_NS, MOST_BACK_NS, RtpStream
from vms.wire.webrtc.srtp import GcmSender

FORMAT = HeaderFormat(0xABCD, 102, playout_delay=5, abs_capture_time=3)
TO = ("127.0.0.1", 9)


class RecordingSender:
    """AES-GCM that remembers what was encrypted under which (SSRC, index)."""

    overhead = 16

    def __init__(self) -> None:
        self.seen: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self.gcm = GcmSender(bytes(16), bytes(12))

    def protect(
        self, ssrc: int, index: int, headers: Sequence[bytes], payloads: Sequence[bytes]
    ) -> list[bytes]:
        for at, packet in enumerate(zip(headers, payloads, strict=True)):
            known = self.seen.setdefault((ssrc, index + at), packet)
            assert known == packet, f"index {index + at} was used for different bytes"
            assert int.from_bytes(packet[0][2:4], "big") == index + at & 0xFFFF
        return self.gcm.protect(ssrc, index, headers, payloads)


class Wire:
    """In a port's place: keeps what is sent, refuses the sends it is told to."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.refuse: set[int] = set()
        self.sends = 0

    def send_segments(
        self, buffers: Sequence[bytes], count: int, segment_bytes: int, total_bytes: int, to: object
    ) -> bool:
        self.sends += 1
        if self.sends in self.refuse:
            return False
        packets = [buffers[at] + buffers[at + 1] for at in range(0, len(buffers), 2)]
        assert len(packets) == count
        assert all(len(packet) == segment_bytes for packet in packets[:-1])
        assert sum(map(len, packets)) == total_bytes
        self.packets += packets
        return True


class Numbering:
    """Makes frames as a packetizer does."""

    def __init__(self, first: int = 0, seed: int = 1) -> None:
        self.index, self.timestamp = first, 1000
        self.random = random.Random(seed)

    def frame(self, *sizes: int, key: bool = False) -> Frame:
        payloads = [self.random.randbytes(size) for size in sizes]
        frame = Frame(
            payloads,
            self.index,
            self.timestamp,
            video=True,
            key=key,
            marker=True,
            capture_ns=1_700_000_000 * NS + self.timestamp,
            capture_ntp=unix_ns_to_ntp(1_700_000_000 * NS + self.timestamp),
            pushed_ns=0,
        )
        self.index += len(payloads)
        self.timestamp += 3600
        return frame


def stream(sender: RecordingSender | None = None) -> RtpStream:
    return RtpStream(FORMAT, 90_000, sender or RecordingSender())


def test_the_largest_packet_fits_the_mtu_and_carries_its_extensions() -> None:
    frame = Numbering().frame(MAX_PAYLOAD_BYTES)
    (header,) = frame.headers(FORMAT, 7)
    assert len(header) + MAX_PAYLOAD_BYTES + 16 <= 1200
    packet = rtp.parse(header)
    assert (packet.sequence_number, packet.payload_type, packet.ssrc) == (7, 102, 0xABCD)
    assert packet.marker
    elements = rtp.parse_extensions(packet.extension_profile, packet.extension)
    assert elements == {5: bytes(3), 3: frame.capture_ntp.to_bytes(8, "big")}
    assert len(header) - rtp.HEADER_SIZE <= MAX_EXTENSION_BYTES


def test_sequence_numbers_go_on_without_a_break_and_only_the_last_packet_is_marked() -> None:
    wire, numbering, video = Wire(), Numbering(0x12_FFF0), stream()
    for _ in range(20):
        assert video.send(numbering.frame(900, 900, 100), wire, TO, 0) is None
    headers = [rtp.parse(packet) for packet in wire.packets]
    first = headers[0].sequence_number
    assert first == 0x12_FFF0 & 0x7FFF
    assert [header.sequence_number for header in headers] == [first + at & 0xFFFF for at in range(60)]
    assert [header.marker for header in headers] == [False, False, True] * 20
    assert (video.packets, video.octets) == (60, 20 * 1900)


def test_viewers_that_join_at_different_times_share_headers() -> None:
    numbering = Numbering()
    frames = [numbering.frame(500) for _ in range(10)]
    early, late = stream(), stream()
    for frame in frames:
        early.send(frame, Wire(), TO, 0)
    for frame in frames[5:]:
        late.send(frame, Wire(), TO, 0)
    assert frames[9].headers(FORMAT, 9) is frames[9].headers(FORMAT, 9)
    assert len(frames[9]._headers) == 1


def test_a_nack_is_answered_with_the_same_bytes_within_a_second_and_not_later() -> None:
    wire, numbering, video = Wire(), Numbering(), stream()
    for at in range(50):
        video.send(numbering.frame(900, 300), wire, TO, at * NS // 25)
    sent = {rtp.parse(packet).sequence_number: packet for packet in wire.packets}
    wire.packets.clear()
    now_frame = 49
    oldest = 2 * (now_frame - HISTORY_NS * 25 // NS)
    for sequence_number in range(oldest, 100):
        assert video.resend(sequence_number, wire, TO)
        assert wire.packets[-1] == sent[sequence_number]
    assert not video.resend(oldest - 1, wire, TO)
    assert not video.resend(100, wire, TO)
    assert not video.resend(0xFFFF, wire, TO)
    assert video.resent == 100 - oldest


def test_nothing_can_be_asked_for_before_anything_was_sent() -> None:
    assert not stream().resend(0, Wire(), TO)


def test_a_frame_that_met_a_full_socket_goes_on_where_it_stopped() -> None:
    wire, numbering, video = Wire(), Numbering(), stream()
    wire.refuse = {2}
    frame = numbering.frame(30, 1000, 1000, 200, 900)  # three runs
    assert len(frame.runs) == 3
    assert video.send(frame, wire, TO, 0) == 1
    assert video.resume(1, wire, TO) is None
    numbers = [rtp.parse(packet).sequence_number for packet in wire.packets]
    assert numbers == [0, 1, 2, 3, 4]
    video.send(numbering.frame(10), wire, TO, 0)
    assert rtp.parse(wire.packets[-1]).sequence_number == 5


def test_a_sender_report_ties_capture_time_to_the_rtp_timestamp() -> None:
    numbering, video = Numbering(), stream()
    assert video.report(0) is None
    frame = numbering.frame(100)
    video.send(frame, Wire(), TO, 0)
    report = video.report(frame.capture_ns + NS // 2)
    assert report is not None
    assert abs(ntp_to_unix_ns(report.ntp) - frame.capture_ns - NS // 2) <= 1
    assert report.rtp_timestamp == frame.timestamp + 45_000
    assert (report.packet_count, report.octet_count) == (1, 100)


@settings(max_examples=60)
@given(st.data())
def test_no_index_is_ever_encrypted_over_different_bytes(data: st.DataObject) -> None:
    """Whatever is sent, skipped, resent, replayed and refused, in any order, over wraps of the sequence
    number: a (SSRC, ROC, SEQ) protects one packet only."""
    sender, wire = RecordingSender(), Wire()
    video = stream(sender)
    numbering = Numbering(data.draw(st.integers(0, 1 << 20)), data.draw(st.integers(0, 99)))
    frames: list[Frame] = []
    now_ns, resume_at = 0, None
    for _ in range(data.draw(st.integers(1, 60))):
        now_ns += data.draw(st.sampled_from([0, NS // 25, NS // 2]))
        action = data.draw(st.sampled_from(["send", "send", "skip", "replay", "nack", "refuse", "resume"]))
        if action == "refuse":
            wire.refuse.add(wire.sends + data.draw(st.integers(1, 3)))
        elif action == "resume" and resume_at is not None:
            resume_at = video.resume(resume_at, wire, TO)
        elif action == "nack":
            video.resend(data.draw(st.integers(0, 0xFFFF)), wire, TO)
        elif action == "replay" and frames:
            again = frames[data.draw(st.integers(0, len(frames) - 1))]
            resume_at = video.send(again, wire, TO, now_ns)
        else:
            frame = numbering.frame(*data.draw(st.lists(st.sampled_from([10, 500, 500, 900]), min_size=1)))
            frames.append(frame)
            if action == "send":
                resume_at = video.send(frame, wire, TO, now_ns)
    unique = {packet[:12]: packet for packet in wire.packets}
    assert all(unique[packet[:12]] == packet for packet in wire.packets)


@pytest.mark.parametrize("first", [0, 0x7FFF, 0x8000, 0xFFFF, 0x12345678])
def test_the_first_sequence_number_leaves_no_doubt_about_the_rollover_counter(first: int) -> None:
    wire, numbering = Wire(), Numbering(first)
    stream().send(numbering.frame(10), wire, TO, 0)
    assert rtp.parse(wire.packets[0]).sequence_number < 0x8000


def test_with_rtx_a_lost_packet_comes_again_under_the_ssrc_and_numbers_of_retransmissions() -> None:
    wire, numbering, sender = Wire(), Numbering(), RecordingSender()
    rtx = FORMAT._replace(ssrc=0xDCBA, payload_type=103)
    video = RtpStream(FORMAT, 90_000, sender, rtx)
    frames = [numbering.frame(900, 300) for _ in range(3)]
    for frame in frames:
        video.send(frame, wire, TO, 0)
    first = rtp.parse(wire.packets[0]).sequence_number
    wire.packets.clear()
    for number in (first + 1, first + 2, first + 1):
        assert video.resend(number, wire, TO)
    headers = [rtp.parse(packet) for packet in wire.packets]
    assert {(header.ssrc, header.payload_type) for header in headers} == {(0xDCBA, 103)}
    start = headers[0].sequence_number
    assert start < 0x8000
    assert [header.sequence_number for header in headers] == [start, start + 1, start + 2]
    assert [header.timestamp for header in headers] == [frames[at].timestamp for at in (0, 1, 0)]
    assert [header.marker for header in headers] == [True, False, True]
    assert headers[0].extension == rtp.parse(frames[0].headers(FORMAT, 0)[1]).extension
    plain = [payload for (ssrc, _), (_, payload) in sender.seen.items() if ssrc == 0xDCBA]
    originals = [(first + 1, frames[0].payloads[1]), (first + 2, frames[1].payloads[0])]
    assert plain[:2] == [number.to_bytes(2, "big") + payload for number, payload in originals]
    assert plain[2] == plain[0]
    assert (video.packets, video.resent) == (6, 3)


def test_a_frame_from_before_is_sent_a_tick_later_than_the_last_and_time_then_goes_on_as_it_was() -> None:
    wire, numbering, video = Wire(), Numbering(), stream()
    frames = [numbering.frame(100) for _ in range(6)]
    for frame in (*frames[:5], *frames[2:5], frames[5]):
        video.send(frame, wire, TO, 0)
    sent = [rtp.parse(packet).timestamp for packet in wire.packets]
    last = frames[4].timestamp
    assert sent == [*(f.timestamp for f in frames[:5]), last + 1, last + 2, last + 3, frames[5].timestamp]
    assert [f.timestamp for f in frames] == [1000 + 3600 * at for at in range(6)]


def test_reports_keep_telling_when_frames_were_captured_while_old_ones_are_sent_again() -> None:
    numbering, video = Numbering(), stream()
    frames = [numbering.frame(100) for _ in range(5)]
    told = []
    for frame in (*frames, *frames[:2]):
        video.send(frame, Wire(), TO, 0)
        report = video.report(2_000_000_000 * NS)
        assert report is not None
        told.append(report.rtp_timestamp - (frame.timestamp - frame.capture_ns * 90_000 // NS) & 0xFFFFFFFF)
    assert max(told) - min(told) <= 1


@pytest.mark.parametrize("later_ns", [NS // 50, 3 * NS, -2 * NS, 3600 * NS, -3600 * NS])
def test_another_source_goes_on_in_the_same_time_by_capture_and_never_back(later_ns: int) -> None:
    wire, video = Wire(), stream()
    old, new = Numbering(), Numbering(500, seed=2)
    new.timestamp = 0xFFFF_F000  # its time wraps soon
    for _ in range(3):
        last = old.frame(100)
        video.send(last, wire, TO, 0)
    video.follow_other_source()
    frames = [new.frame(100) for _ in range(4)]
    for at, frame in enumerate(frames):
        frame.capture_ns = last.capture_ns + later_ns + at * NS // 25
        video.send(frame, wire, TO, 0)
    sent = [rtp.parse(packet) for packet in wire.packets]
    assert [packet.sequence_number for packet in sent] == list(range(7))
    assert len({packet.ssrc for packet in sent}) == 1
    expected = last.timestamp + min(later_ns, MOST_AHEAD_NS) * 90_000 // NS
    after = [packet.timestamp for packet in sent[3:]]
    if later_ns > 0:
        assert after == [expected + 3600 * at for at in range(4)]
    else:
        assert after == [last.timestamp + 1 + at for at in range(4)]
    report = video.report(frames[-1].capture_ns)
    assert report is not None
    passed_ns = max(-MOST_BACK_NS, min(later_ns, MOST_AHEAD_NS)) + 3 * NS // 25
    assert report.rtp_timestamp == last.timestamp + passed_ns * 90_000 // NS & 0xFFFFFFFF


def test_a_source_that_follows_before_anything_was_sent_keeps_its_own_time() -> None:
    wire, numbering, video = Wire(), Numbering(), stream()
    video.follow_other_source()
    frames = [numbering.frame(100) for _ in range(2)]
    for frame in frames:
        frame.capture_ns = 0
        video.send(frame, wire, TO, 0)
    assert [rtp.parse(packet).timestamp for packet in wire.packets] == [f.timestamp for f in frames]


def test_headers_of_a_format_differ_in_place_and_time_alone() -> None:
    frame = Numbering().frame(900, 900, 100)
    own = [rtp.parse(header) for header in frame.headers(FORMAT, 0xFFFF)]
    moved = [rtp.parse(header) for header in frame.headers(FORMAT, 5, 77)]
    assert [header.sequence_number for header in own] == [0xFFFF, 0, 1]
    assert {header.timestamp for header in own} == {frame.timestamp}
    assert [header._replace(sequence_number=at, timestamp=0) for at, header in enumerate(own)] == [
        header._replace(sequence_number=at, timestamp=0) for at, header in enumerate(moved)
    ]
    assert [header.sequence_number for header in moved] == [5, 6, 7]
    assert {header.timestamp for header in moved} == {77}
    assert frame.header(2, FORMAT, 7, 77) == frame.headers(FORMAT, 5, 77)[2]
    assert frame.header(1, FORMAT, 6, 77) == frame.headers(FORMAT, 5, 77)[1]
