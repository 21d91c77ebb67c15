"""Packets of a received stream: in order, asked for again, given up in the end."""

import random

from vms.wire.webrtc.repair import (
    ASK_AGAIN_NS,
    ASKS,
    MAX_HOLE,
    MAX_WAITING_PACKETS,
    NACKS_AT_ONCE,
    WAIT_NS,
    Packet,
    Reorderer,
)


def packet(number: int, at_ns: int = 0) -> Packet:
    return Packet(b"", number & 0xFFFF, 0, False, 0, 0, at_ns)


def numbers(packets: list[Packet]) -> list[int]:
    return [each.sequence_number for each in packets]


def test_packets_in_order_pass_at_once_over_the_end_of_the_numbers() -> None:
    order = Reorderer()
    for number in (65534, 65535, 0, 1):
        assert numbers(order.put(packet(number))) == [number]
    assert not order.is_waiting


def test_what_is_behind_a_hole_waits_and_passes_in_order_once_it_is_filled() -> None:
    order = Reorderer()
    order.put(packet(65533))
    assert order.put(packet(0)) == []
    assert order.put(packet(65535)) == []
    assert order.to_ask(0) == (65534, 65535)[:1]
    assert numbers(order.put(packet(65534))) == [65534, 65535, 0]
    assert order.repairs == 1
    assert not order.is_waiting


def test_a_shuffled_stream_comes_out_whole_and_in_order() -> None:
    order, rng = Reorderer(), random.Random(7)
    order.put(packet(0))
    sent = list(range(1, 2000))
    for at in range(0, len(sent), 20):
        part = sent[at : at + 20]
        rng.shuffle(part)
        sent[at : at + 20] = part
    got = [0]
    for number in sent:
        got += numbers(order.put(packet(number)))
        got += numbers(order.put(packet(number)))  # a double is dropped
    assert got == list(range(2000))


def test_a_missing_packet_is_asked_for_at_once_again_later_and_not_for_ever() -> None:
    order = Reorderer()
    order.put(packet(1))
    order.put(packet(3))
    assert order.to_ask(0) == (2,)
    assert order.to_ask(ASK_AGAIN_NS - 1) == ()
    asked = sum(len(order.to_ask(at * ASK_AGAIN_NS)) for at in range(1, 100))
    assert asked == ASKS - 1


def test_what_never_comes_is_given_up_after_a_while() -> None:
    order = Reorderer()
    order.put(packet(1))
    order.put(packet(3, 5))
    order.put(packet(6, 9))
    assert order.due(5 + WAIT_NS - 1) == []
    assert numbers(order.due(5 + WAIT_NS)) == [3]
    assert numbers(order.due(9 + WAIT_NS)) == [6]
    assert not order.is_waiting
    assert order.put(packet(2)) == []  # too late


def test_many_holes_that_are_due_are_given_up_together() -> None:
    order = Reorderer()
    order.put(packet(0))
    order.put(packet(400, 5))
    for number in range(2, 400, 2):
        assert order.put(packet(number, 6)) == []
    assert numbers(order.due(5 + WAIT_NS)) == list(range(2, 401, 2))


def test_a_long_interruption_is_not_asked_for_and_a_new_beginning_waits_for_nothing() -> None:
    order = Reorderer()
    order.put(packet(1))
    order.put(packet(MAX_HOLE + 3))
    assert order.to_ask(0) == ()
    assert numbers(order.put(packet(30_000))) == [MAX_HOLE + 3, 30_000]
    assert numbers(order.put(packet(30_001))) == [30_001]


def test_memory_and_requests_are_bounded() -> None:
    order = Reorderer()
    order.put(packet(0))
    assert order.put(packet(400)) == []
    assert len(order.to_ask(0)) == NACKS_AT_ONCE
    got: list[Packet] = []
    for number in range(401, 400 + 2 * MAX_WAITING_PACKETS):
        got += order.put(packet(number))
        got += order.due(0)
        assert len(order._waiting) <= MAX_WAITING_PACKETS
        assert len(order._missing) <= MAX_WAITING_PACKETS
    assert numbers(got)[0] == 400
