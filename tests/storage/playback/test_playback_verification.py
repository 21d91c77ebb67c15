import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.evidence.evidence_material import Installation, install
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux, moved

from vms.common.clock import NS
from vms.evidence.errors import EvidenceKeysUnusable
from vms.evidence.trust import Trust
from vms.storage.playback import (
    RangeInvalid,
    RangeTooLong,
    RecordingVerifier,
    TooManyVerifications,
    Verification,
)
from vms.storage.playback.verification import MOST_WAITING
from vms.storage.segment import OpenFile, Segment

DAY = NOON_NS - NS, NOON_NS + 3600 * NS


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return install(tmp_path / "data")


@pytest.fixture
def signed(shelf: Shelf, installation: Installation) -> Shelf:
    shelf.signer = installation.signer
    return shelf


@pytest.fixture
async def verifier(shelf: Shelf, installation: Installation) -> AsyncIterator[RecordingVerifier]:
    verifier = RecordingVerifier(shelf, lambda: installation.trust)
    yield verifier
    await verifier.stop()


def states(verification: Verification) -> list[str]:
    return [segment.state for segment in verification.segments]


def damage(segment: Segment, place: float = 0.5) -> None:
    data = bytearray(segment.path.read_bytes())
    data[round(len(data) * place)] ^= 1
    segment.path.write_bytes(data)


async def test_recordings_that_nobody_touched_are_verified_and_follow_each_other(
    signed: Shelf, verifier: RecordingVerifier, installation: Installation, movie: Path
) -> None:
    signed.record(demux(movie), file_s=4)
    signed.record(moved(demux(movie), wall_s=200, timeline_s=7), file_s=6)
    verification = await verifier.verify(PORCH, *DAY)
    assert verification.state == "verified"
    assert states(verification) == ["verified"] * 5
    assert [segment.follows for segment in verification.segments] == [None, True, True, True, True]
    first = verification.segments[0]
    assert first.node == installation.signer.node
    assert first.key_fingerprint is not None and len(first.key_fingerprint) == 64
    assert first.signed_ns is not None and not first.recovered
    assert first.detail == "it names no recording before it: its recorder knew none"
    assert {segment.detail for segment in verification.segments[1:]} == {""}


async def test_one_recording_under_the_play_head_is_linked_to_the_one_before(
    signed: Shelf, verifier: RecordingVerifier, plain_movie: Path
) -> None:
    signed.record(demux(plain_movie), file_s=4)
    verification = await verifier.verify(PORCH, NOON_NS + 9 * NS, NOON_NS + 9 * NS + 1)
    (segment,) = verification.segments
    assert (segment.state, segment.follows, segment.detail) == ("verified", True, "")


async def test_a_changed_recording_is_named_and_the_others_stay_verified(
    signed: Shelf, verifier: RecordingVerifier, plain_movie: Path
) -> None:
    segments = signed.record(demux(plain_movie), file_s=4)
    damage(segments[1])
    verification = await verifier.verify(PORCH, *DAY)
    assert verification.state == "changed"
    assert states(verification) == ["verified", "changed", "verified"]
    assert "1 fragments changed" in verification.segments[1].detail


async def test_a_recording_that_was_put_in_the_place_of_another_is_found(
    signed: Shelf, verifier: RecordingVerifier, plain_movie: Path
) -> None:
    segments = signed.record(demux(plain_movie), file_s=4)
    data = segments[0].path.read_bytes()
    segments[2].path.write_bytes(data)
    signed.files[segments[2].id] = Segment(
        **{name: getattr(segments[2], name) for name in Segment.__dataclass_fields__ if name != "size_bytes"},
        size_bytes=len(data),
    )
    verification = await verifier.verify(PORCH, *DAY)
    assert states(verification) == ["verified", "verified", "changed"]
    assert f"it is another recording: {segments[0].id}" in verification.segments[2].detail


async def test_a_predecessor_that_is_not_what_it_was_breaks_the_chain(
    signed: Shelf, verifier: RecordingVerifier, plain_movie: Path
) -> None:
    """Somebody with the key signed other footage anew; the recording after it remembers."""
    units = demux(plain_movie)
    first, _ = signed.record(units, file_s=6)
    after = signed.newest
    signed.newest = None
    forged = signed.record(units[:40])[0]
    signed.newest = after
    # Its id is what the next one names
    patched = forged.path.read_bytes()
    assert patched != first.path.read_bytes()
    before = signed.files.pop(forged.id)
    signed.files[first.id] = before
    verification = await verifier.verify(PORCH, NOON_NS + 7 * NS, NOON_NS + 8 * NS)
    (segment,) = verification.segments
    assert (segment.state, segment.follows) == ("changed", False)
    assert "is not what it was then" in segment.detail


async def test_a_predecessor_that_retention_deleted_is_no_fault(
    signed: Shelf, verifier: RecordingVerifier, plain_movie: Path
) -> None:
    segments = signed.record(demux(plain_movie), file_s=6)
    signed.delete(segments[0].id)
    verification = await verifier.verify(PORCH, *DAY)
    (segment,) = verification.segments
    assert (segment.state, segment.follows) == ("verified", None)
    assert segment.detail == f"the recording before it, {segments[0].id}, is no longer here"


async def test_what_is_unsigned_open_unreadable_or_not_there_is_said(
    signed: Shelf, verifier: RecordingVerifier, plain_movie: Path
) -> None:
    assert (await verifier.verify(PORCH, *DAY)).state == "unverified"
    signer, signed.signer = signed.signer, None
    (unsigned,) = signed.record(demux(plain_movie))
    verification = await verifier.verify(PORCH, *DAY)
    assert (verification.state, states(verification)) == ("unsigned", ["unsigned"])
    assert verification.segments[0].node is None and verification.segments[0].signed_ns is None
    signed.signer = signer
    signed.record(moved(demux(plain_movie), wall_s=60), file_s=6, close=False)
    verification = await verifier.verify(PORCH, *DAY)
    assert (verification.state, states(verification)) == ("partial", ["unsigned", "verified", "recording"])
    unsigned.path.write_bytes(bytes(3000))
    signed.files[unsigned.id] = unsigned
    other = RecordingVerifier(signed, verifier._trust)
    assert states(await other.verify(PORCH, *DAY)) == ["unreadable", "verified", "recording"]
    await other.stop()


async def test_a_closed_recording_whose_end_was_cut_off_is_changed(
    signed: Shelf, verifier: RecordingVerifier, plain_movie: Path
) -> None:
    (segment,) = signed.record(demux(plain_movie))
    data = segment.path.read_bytes()
    segment.path.write_bytes(data[: len(data) // 2])
    assert states(await verifier.verify(PORCH, *DAY)) == ["changed"]
    # … and one that was made look as if it were still open
    segment.path.write_bytes(data[:32] + bytes(16) + data[48 : len(data) // 2])
    other = RecordingVerifier(signed, verifier._trust)
    (found,) = (await other.verify(PORCH, *DAY)).segments
    assert found.state in ("changed", "unreadable")
    await other.stop()


async def test_recordings_of_a_foreign_key_are_untrusted(
    signed: Shelf, plain_movie: Path, tmp_path: Path
) -> None:
    signed.record(demux(plain_movie))
    foreign = install(tmp_path / "foreign").trust
    verifier = RecordingVerifier(signed, lambda: foreign)
    assert states(await verifier.verify(PORCH, *DAY)) == ["untrusted"]
    await verifier.stop()


async def test_without_usable_keys_nothing_is_trusted_and_nothing_fails(
    signed: Shelf, plain_movie: Path
) -> None:
    def unusable() -> Trust:
        raise EvidenceKeysUnusable("keys/evidence-trusted.pem: permission denied")

    signed.record(demux(plain_movie))
    verifier = RecordingVerifier(signed, unusable)
    verification = await verifier.verify(PORCH, *DAY)
    assert (verification.state, states(verification)) == ("partial", ["untrusted"])
    await verifier.stop()


async def test_what_is_known_is_not_read_again_until_it_is_told_otherwise(
    signed: Shelf, verifier: RecordingVerifier, plain_movie: Path
) -> None:
    segments = signed.record(demux(plain_movie), file_s=4)
    await verifier.verify(PORCH, *DAY)
    before = verifier.verified_bytes
    assert before == sum(segment.size_bytes for segment in segments)
    await verifier.verify(PORCH, *DAY)
    assert verifier.verified_bytes == before


async def test_what_is_too_much_for_one_answer_is_gone_on_with_by_the_next(
    signed: Shelf, installation: Installation, plain_movie: Path
) -> None:
    segments = signed.record(demux(plain_movie), file_s=2)
    most = round(2.5 * segments[0].size_bytes)
    verifier = RecordingVerifier(signed, lambda: installation.trust, most_bytes=most)
    answers = [await verifier.verify(PORCH, *DAY)]
    while answers[-1].state == "partial":
        answers.append(await verifier.verify(PORCH, *DAY))
    many = [len(answer.segments) for answer in answers]
    assert many == sorted(set(many)) and many[-1] == 6 and len(many) >= 3
    assert answers[-1].state == "verified"
    await verifier.stop()


async def test_wrong_ranges_are_refused(verifier: RecordingVerifier) -> None:
    with pytest.raises(RangeInvalid):
        await verifier.verify(PORCH, NOON_NS, NOON_NS)
    with pytest.raises(RangeTooLong, match="ask for it in parts"):
        await verifier.verify(PORCH, NOON_NS, NOON_NS + 26 * 3600 * NS)


class _SlowShelf(Shelf):
    """Its bytes come when `go` is set."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf.folder, shelf.files)
        self.go = threading.Event()
        self.reading = threading.Event()

    async def open_file(self, segment_id):
        opened: OpenFile = await super().open_file(segment_id)
        read_at = opened.read_at

        def slowly(offset: int, size: int) -> bytes:
            self.reading.set()
            assert self.go.wait(60)
            return read_at(offset, size)

        opened.read_at = slowly  # type: ignore[method-assign]
        return opened


async def test_who_asks_while_too_many_wait_is_told_to_come_back(
    signed: Shelf, installation: Installation, plain_movie: Path
) -> None:
    signed.record(demux(plain_movie), file_s=4)
    slow = _SlowShelf(signed)
    verifier = RecordingVerifier(slow, lambda: installation.trust)
    waiting = [asyncio.create_task(verifier.verify(PORCH, *DAY)) for _ in range(MOST_WAITING)]
    await asyncio.to_thread(slow.reading.wait, 60)
    with pytest.raises(TooManyVerifications, match="try again later"):
        await verifier.verify(PORCH, *DAY)
    slow.go.set()
    assert {answer.state for answer in await asyncio.gather(*waiting)} == {"verified"}
    assert (await verifier.verify(PORCH, *DAY)).state == "verified"
    await verifier.stop()
    assert not slow.leaked


async def test_one_that_goes_away_lets_the_next_have_its_turn(
    signed: Shelf, installation: Installation, plain_movie: Path
) -> None:
    segments = signed.record(demux(plain_movie), file_s=4)
    slow = _SlowShelf(signed)
    verifier = RecordingVerifier(slow, lambda: installation.trust)
    gone = asyncio.create_task(verifier.verify(PORCH, *DAY))
    await asyncio.to_thread(slow.reading.wait, 60)
    gone.cancel()
    await asyncio.wait([gone])
    slow.go.set()
    assert (await verifier.verify(PORCH, *DAY)).state == "verified"
    assert verifier.verified_bytes == sum(segment.size_bytes for segment in segments), "it was not read on"
    await verifier.stop()
    assert not slow.leaked
