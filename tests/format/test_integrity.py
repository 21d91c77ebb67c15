"""Digests, the chain and the signed statement, as they are written and read."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.format.format_material import AUDIO, IDENTITY, VIDEO, interleave, pictures, read_at, sounds

from vms.format.errors import FormatError
from vms.format.hybrid import (
    Finish,
    PreviousFile,
    RecoveryAction,
    Sealing,
    SegmentIdentity,
    SegmentWriter,
    Statement,
    evidence_source,
    fragment_digest,
    plan_recovery,
    read_segment,
)
from vms.format.hybrid.index import build_rows, parse_index
from vms.format.hybrid.integrity import (
    build_signature,
    build_statement,
    parse_signature,
    parse_statement,
    read_digest,
    strip_flip,
)


class Stub:
    """Signs with a hash: the format does not check signatures."""

    node = "node-a"

    def __init__(self) -> None:
        self.rotations = 0
        self.asked = 0

    def certificates(self) -> Sequence[bytes]:
        self.asked += 1
        return (b"leaf %d" % self.rotations, b"authority")

    def sign(self, data: bytes) -> bytes:
        return hashlib.sha512(b"%d" % self.rotations + data).digest()


class Rotating(Stub):
    """Its key is replaced while it signs for the first time."""

    def sign(self, data: bytes) -> bytes:
        if self.rotations == 0:
            self.rotations = 1
        return super().sign(data)


def _write() -> tuple[SegmentWriter, bytes, list[bytes]]:
    writer = SegmentWriter([VIDEO, AUDIO], IDENTITY)
    written = [writer.push(each) for each in interleave(pictures(2, fps=5, gop=3), sounds(2))]
    written.append(writer.flush())
    parts = [each for each in written if each is not None]
    data = writer.header() + b"".join(b"".join(each.buffers) for each in parts)
    return writer, data, [fragment_digest(each.buffers) for each in parts]


def _close(data: bytes, finish: Finish) -> bytes:
    closed = bytearray(data + finish.tail)
    closed[finish.flip_offset : finish.flip_offset + 16] = finish.flip
    return bytes(closed)


PREVIOUS = PreviousFile(UUID(int=7), bytes(range(32)))


def test_digests_and_chain_are_those_of_sha256_alone() -> None:
    """As an expert computes them, from nothing but the file and the documentation."""
    writer, data, digests = _write()
    closed = _close(data, writer.finish(Sealing(digests, Stub(), 5, PREVIOUS)))
    segment = read_segment(read_at(closed), len(closed))
    proof = segment.proof
    assert proof is not None
    start = segment.fragments[0].offset
    chain = hashlib.sha256(b"vms recording beginning 1\n" + closed[:32] + closed[48:start]).digest()
    assert proof.statement.start_digest == chain
    for index, each in enumerate(segment.fragments):
        leaf = hashlib.sha256(closed[each.offset : each.end]).digest()
        assert proof.leaf(index) == leaf
        assert read_digest(read_at(closed), each.offset, each.size) == leaf
        chain = hashlib.sha256(chain + leaf).digest()
    assert proof.chain_digest == chain == writer.chain_digest(digests)
    assert segment.movie is not None
    offset, size = segment.movie
    assert proof.statement.movie_digest == hashlib.sha256(closed[offset : offset + size]).digest()
    rows = build_rows(segment.fragments, [1, 2])
    assert rows in closed
    assert proof.statement.index_digest == hashlib.sha256(rows).digest()


def test_what_is_stated_is_what_the_recorder_knew() -> None:
    writer, data, digests = _write()
    closed = _close(data, writer.finish(Sealing(digests, Stub(), 1234, PREVIOUS)))
    proof = read_segment(read_at(closed), len(closed)).proof
    assert proof is not None
    said = proof.statement
    assert (said.identity, said.node, said.signed_ns, said.recovered) == (IDENTITY, "node-a", 1234, False)
    assert (said.start_ns, said.end_ns) == (writer.fragments[0].start_ns, writer.fragments[-1].end_ns)
    assert (said.previous, said.fragments) == (PREVIOUS, len(digests))
    assert proof.certificates == (b"leaf 0", b"authority")
    assert proof.signature == Stub().sign(proof.signed)


def test_a_file_without_a_signer_is_written_as_ever_and_has_no_proof() -> None:
    writer, data, digests = _write()
    unsigned = writer.finish()
    closed = _close(data, unsigned)
    assert read_segment(read_at(closed), len(closed)).proof is None
    signed = writer.finish(Sealing(digests, Stub(), 5))
    assert signed.flip == unsigned.flip
    movie = len(unsigned.tail) - int.from_bytes(unsigned.tail[:4])
    assert signed.tail[-movie:] == unsigned.tail[-movie:]


def test_a_signature_needs_a_digest_of_every_fragment() -> None:
    writer, _, digests = _write()
    for wrong in (digests[:-1], [*digests, digests[0]], [digests[0][:31], *digests[1:]]):
        with pytest.raises(FormatError):
            writer.finish(Sealing(wrong, Stub(), 5))
    assert writer.finish(Sealing(digests, Stub(), 5)).tail


def test_a_key_that_is_replaced_meanwhile_signs_with_its_own_certificate() -> None:
    writer, data, digests = _write()
    signer = Rotating()
    closed = _close(data, writer.finish(Sealing(digests, signer, 5)))
    proof = read_segment(read_at(closed), len(closed)).proof
    assert proof is not None
    assert proof.certificates[0] == b"leaf 1"
    assert proof.signature == signer.sign(proof.signed)


def test_a_whole_tail_keeps_its_proof_when_only_the_flip_is_missing() -> None:
    writer, data, digests = _write()
    finish = writer.finish(Sealing(digests, Stub(), 5, PREVIOUS))

    def seal(*_: object) -> Sealing:
        raise AssertionError("nothing is signed again")

    unflipped = data + finish.tail
    plan = plan_recovery(read_at(unflipped), len(unflipped), seal)
    assert (plan.action, plan.tail) == (RecoveryAction.FLIP, b"")
    assert plan.segment is not None
    assert plan.segment.proof is not None
    assert plan.segment.proof.statement.previous == PREVIOUS


def test_a_signed_file_torn_at_any_byte_comes_back_signed_as_recovered() -> None:
    writer, data, digests = _write()
    finish = writer.finish(Sealing(digests, Stub(), 5, PREVIOUS))
    whole = _close(data, finish)
    signed_end = whole.index(b"vtal") - 4
    asked: list[list[bytes]] = []

    def seal(segment: object, found: list[bytes]) -> Sealing:
        asked.append(found)
        return Sealing(found, Stub(), 9, None)

    for size in range(writer.fragments[0].end, len(whole)):
        torn = whole[:size]
        plan = plan_recovery(read_at(torn), size, seal)
        assert plan.action is RecoveryAction.REBUILD
        recovered = _close(torn[: plan.truncate_to], Finish(0, plan.tail, plan.flip_offset, plan.flip))
        segment = read_segment(read_at(recovered), len(recovered))
        assert segment == plan.segment
        assert segment.proof is not None
        if size >= signed_end:
            assert recovered == whole, "all that was signed is there: nobody signs it again"
            continue
        assert segment.proof.statement.recovered
        complete = sum(each.end <= size for each in writer.fragments)
        assert asked[-1] == digests[:complete]
        assert segment.proof.chain_digest == writer.chain_digest(digests[:complete])


def test_recovery_without_keys_leaves_a_file_unsigned() -> None:
    _, data, _ = _write()
    for seal in (None, lambda *_: None):
        plan = plan_recovery(read_at(data), len(data), seal)
        assert plan.segment is not None
        assert plan.segment.proof is None


def test_a_proof_that_cannot_be_read_keeps_nobody_from_playing() -> None:
    writer, data, digests = _write()
    finish = writer.finish(Sealing(digests, Stub(), 5))
    tail = bytearray(finish.tail)
    at = tail.index(b"vms recording 1\n")
    tail[at] ^= 1
    size = int.from_bytes(tail[:4])
    from zlib import crc32

    tail[size - 4 : size] = crc32(tail[: size - 4]).to_bytes(4)
    assert parse_index(bytes(tail[:size])).proof is None
    segment = read_segment(
        read_at(_close(data, Finish(0, bytes(tail), finish.flip_offset, finish.flip))), 1 << 30
    )
    assert segment.closed
    assert segment.proof is None


def test_an_export_takes_along_what_stands_in_the_recording() -> None:
    writer, data, digests = _write()
    closed = _close(data, writer.finish(Sealing(digests, Stub(), 5, PREVIOUS)))
    segment = read_segment(read_at(closed), len(closed))
    source = evidence_source(read_at(closed), segment)
    assert source.beginning == strip_flip(closed[: segment.fragments[0].offset])
    assert source.rows + source.digests + source.signature in closed
    still_open = read_segment(read_at(data), len(data))
    assert evidence_source(read_at(data), still_open).digests == b""


names = st.text(max_size=60).filter(lambda text: len(text.encode()) <= 255)
times = st.integers(-(1 << 63), (1 << 63) - 1)
digests_ = st.binary(min_size=32, max_size=32)
previous = st.builds(PreviousFile, st.uuids(), digests_)
statements = st.builds(
    Statement,
    st.builds(SegmentIdentity, st.uuids(), names, names),
    times,
    times,
    st.integers(0, 0xFFFF_FFFF),
    digests_,
    digests_,
    digests_,
    digests_,
    st.none() | previous,
    names,
    times,
    st.booleans(),
)


@given(statements)
def test_a_statement_comes_back_as_it_was_made(statement: Statement) -> None:
    signed = build_statement(statement)
    assert parse_statement(signed) == statement
    with pytest.raises(FormatError):
        parse_statement(signed + b"x")
    with pytest.raises(FormatError):
        parse_statement(signed[:-1])


@given(
    st.binary(max_size=400),
    st.lists(st.binary(max_size=400), min_size=1, max_size=16),
    st.binary(min_size=64, max_size=64),
)
def test_a_signature_box_comes_back_as_it_was_made(
    signed: bytes, certificates: list[bytes], signature: bytes
) -> None:
    whole = build_signature(signed, certificates, signature)
    assert parse_signature(whole[8:]) == (signed, tuple(certificates), signature)
    with pytest.raises(FormatError):
        parse_signature(whole[8:-1])


@given(st.binary(max_size=300))
def test_noise_is_refused(noise: bytes) -> None:
    for parse in (parse_statement, parse_signature):
        with pytest.raises(FormatError):
            parse(noise)
