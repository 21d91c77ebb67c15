"""A recording that was touched is found out, whatever was done to it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.evidence_material import Installation, Signed, install, record_signed
from tests.format.format_material import VIDEO, pictures, read_at

from vms.evidence.errors import NotEvidence
from vms.evidence.recording_check import check_recording
from vms.evidence.report import FragmentState, SourceReport, Verdict
from vms.evidence.trust import SignatureState, Trust
from vms.format.hybrid import RecoveryAction, Sealing, plan_recovery, read_segment
from vms.format.hybrid.layout import FLIP_OFFSET, OPEN_FLIP


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def signed(home: Installation) -> Signed:
    return record_signed(home.signer)


@pytest.fixture(scope="module")
def small(home: Installation) -> Signed:
    return record_signed(home.signer, pictures(1, fps=2, gop=1), tracks=[VIDEO])


def _check(data: bytes | bytearray, trust: Trust) -> SourceReport:
    return check_recording(read_at(data), len(data), trust)


def _states(report: SourceReport) -> list[tuple[int | None, str]]:
    return [
        (each.index, each.state.value)
        for each in report.fragments
        if each.state is not FragmentState.UNCHANGED
    ]


def test_a_recording_as_it_was_written_verifies(home: Installation, signed: Signed) -> None:
    report = _check(signed.data, home.trust)
    assert report.verdict is Verdict.VERIFIED
    assert [each.index for each in report.fragments] == list(range(len(signed.fragments)))
    assert [each.start_ns for each in report.fragments] == [each.start_ns for each in signed.fragments]
    assert report.signature.node == "node-a"
    assert report.chain_digest == signed.chain_digest
    assert not report.notes


def test_every_flipped_bit_is_found_but_in_the_16_flip_bytes(home: Installation, small: Signed) -> None:
    trust = home.trust
    assert _check(small.data, trust).verdict is Verdict.VERIFIED
    for position in range(len(small.data)):
        data = bytearray(small.data)
        data[position] ^= 1 << position % 8
        try:
            report = _check(data, trust)
        except NotEvidence:
            pytest.fail(f"byte {position}: not even taken for a recording")
        assert report.verdict is Verdict.CHANGED, f"byte {position}"
        if FLIP_OFFSET <= position < FLIP_OFFSET + 16:
            assert all(each.state is FragmentState.UNCHANGED for each in report.fragments)
            assert len(read_segment(read_at(data), len(data)).fragments) == len(small.fragments)


def test_a_changed_fragment_is_named_and_no_other(home: Installation, signed: Signed) -> None:
    trust = home.trust
    for index, fragment in enumerate(signed.fragments):
        for offset in (fragment.offset + 1, fragment.offset + 36, fragment.offset + 50, fragment.end - 1):
            data = bytearray(signed.data)
            data[offset] ^= 0x41
            report = _check(data, trust)
            assert report.verdict is Verdict.CHANGED
            assert _states(report) == [(index, "changed")]


def _with_media(signed: Signed, order: list[int | bytes]) -> bytes:
    """The file with other fragments in it, its tail behind them and the flip pointing there."""
    media = b"".join(each if isinstance(each, bytes) else signed.fragment(each) for each in order)
    data = bytearray(signed.beginning + media)
    end = len(data)
    data[FLIP_OFFSET + 8 : FLIP_OFFSET + 16] = (end - FLIP_OFFSET).to_bytes(8)
    return bytes(data + signed.tail)


def test_a_dropped_fragment_is_missing(home: Installation, signed: Signed) -> None:
    many = len(signed.fragments)
    for gone in range(many):
        report = _check(_with_media(signed, [i for i in range(many) if i != gone]), home.trust)
        assert report.verdict is Verdict.CHANGED
        assert _states(report) == [(gone, "missing")]


def test_swapped_fragments_are_reordered(home: Installation, signed: Signed) -> None:
    many = len(signed.fragments)
    for index in range(many - 1):
        order: list[int | bytes] = list(range(many))
        order[index], order[index + 1] = index + 1, index
        report = _check(_with_media(signed, order), home.trust)
        assert report.verdict is Verdict.CHANGED
        assert [state for _, state in _states(report)] == ["reordered"]
        assert {i for i, _ in _states(report)} <= {index, index + 1}


def test_a_fragment_that_stands_twice_is_found(home: Installation, signed: Signed) -> None:
    order: list[int | bytes] = list(range(len(signed.fragments)))
    report = _check(_with_media(signed, [*order[:3], 1, *order[3:]]), home.trust)
    assert _states(report) == [(1, "duplicated")]
    replaced = _check(_with_media(signed, [*order[:3], 1, *order[4:]]), home.trust)
    assert sorted(_states(replaced)) == [(1, "duplicated"), (3, "missing")]


def test_fragments_of_another_recording_are_not_taken(home: Installation, signed: Signed) -> None:
    other = record_signed(home.signer, number=2)
    order: list[int | bytes] = list(range(len(signed.fragments)))
    report = _check(_with_media(signed, [*order[:2], other.fragment(2), *order[3:]]), home.trust)
    assert _states(report) == [(2, "changed")]
    added = _check(_with_media(signed, [*order[:2], other.fragment(2), *order[2:]]), home.trust)
    assert _states(added) == [(None, "foreign")]
    assert added.verdict is Verdict.CHANGED


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_crashes_the_verifier_or_passes(
    home: Installation, signed: Signed, data: st.DataObject
) -> None:
    whole = signed.data
    kind = data.draw(st.sampled_from(["cut", "zeros", "noise", "insert", "remove", "repeat"]))
    start = data.draw(st.integers(0, len(whole) - 1))
    size = data.draw(st.integers(1, min(3000, len(whole) - start)))
    match kind:
        case "cut":
            damaged = whole[:start]
        case "zeros":
            damaged = whole[:start] + bytes(size) + whole[start + size :]
        case "noise":
            noise = data.draw(st.binary(min_size=min(size, 64), max_size=min(size, 64)))
            damaged = whole[:start] + noise + whole[start + len(noise) :]
        case "insert":
            damaged = whole[:start] + data.draw(st.binary(min_size=1, max_size=64)) + whole[start:]
        case "remove":
            damaged = whole[:start] + whole[start + size :]
        case _:
            damaged = whole[:start] + whole[start : start + size] * 2 + whole[start + size :]
    if damaged == whole:
        return
    try:
        report = _check(damaged, home.trust)
    except NotEvidence:
        return
    assert report.verdict not in (Verdict.VERIFIED, Verdict.UNTRUSTED)


def test_a_flip_that_was_set_back_is_said_and_changes_nothing(home: Installation, signed: Signed) -> None:
    data = bytearray(signed.data)
    data[FLIP_OFFSET : FLIP_OFFSET + 16] = OPEN_FLIP
    report = _check(data, home.trust)
    assert report.verdict is Verdict.VERIFIED
    assert "flip" in report.notes[0]


def test_a_forged_tail_behind_the_real_one_is_found(home: Installation, signed: Signed) -> None:
    """Players would show what the flip points to."""
    forged = record_signed(None, number=1)
    data = bytearray(signed.data)
    end = len(data)
    data += forged.tail
    data[FLIP_OFFSET + 8 : FLIP_OFFSET + 16] = (end - FLIP_OFFSET).to_bytes(8)
    report = _check(data, home.trust)
    assert report.verdict is Verdict.CHANGED
    assert any("flip" in each for each in report.findings)


def test_bytes_behind_the_end_are_found(home: Installation, signed: Signed) -> None:
    report = _check(signed.data + b"\0\0\0\x08free", home.trust)
    assert report.verdict is Verdict.CHANGED
    assert "8 bytes follow" in report.findings[0]


def test_a_file_whose_signature_was_cut_away_is_not_verified(home: Installation, signed: Signed) -> None:
    report = _check(signed.data[: signed.tail_offset], home.trust)
    assert report.verdict is Verdict.CHANGED
    assert {each.state for each in report.fragments} == {FragmentState.UNSIGNED}


def test_an_unsigned_recording_is_told_from_a_changed_one(home: Installation) -> None:
    unsigned = record_signed(None)
    report = _check(unsigned.data, home.trust)
    assert report.verdict is Verdict.UNSIGNED
    assert {each.state for each in report.fragments} == {FragmentState.UNSIGNED}
    assert _check(unsigned.open, home.trust).verdict is Verdict.RECORDING


def test_a_stranger_signature_is_right_but_not_trusted(
    tmp_path_factory: pytest.TempPathFactory, home: Installation
) -> None:
    stranger = install(tmp_path_factory.mktemp("stranger"), "node-a")
    forged = record_signed(stranger.signer)
    report = _check(forged.data, home.trust)
    assert report.verdict is Verdict.UNTRUSTED
    assert report.signature.state is SignatureState.UNTRUSTED
    assert report.signature.fingerprint == stranger.signer.fingerprint
    assert "--key" in report.signature.detail
    assert _check(forged.data, stranger.trust).verdict is Verdict.VERIFIED
    assert _check(forged.data, Trust()).verdict is Verdict.UNTRUSTED


def test_a_torn_recording_is_signed_by_repair_and_verifies(home: Installation, signed: Signed) -> None:
    torn = signed.open[: signed.fragments[-1].offset + 60]
    given_digests: list[list[bytes]] = []

    def seal(_: object, digests: list[bytes]) -> Sealing:
        given_digests.append(digests)
        return Sealing(digests, home.signer, record_time(), None)

    plan = plan_recovery(read_at(torn), len(torn), seal)
    assert plan.action is RecoveryAction.REBUILD
    assert given_digests == [signed.digests[:-1]]
    data = bytearray(torn[: plan.truncate_to] + plan.tail)
    data[plan.flip_offset : plan.flip_offset + 16] = plan.flip
    assert read_segment(read_at(data), len(data)) == plan.segment
    assert plan.segment is not None
    assert plan.segment.proof is not None
    report = _check(data, home.trust)
    assert report.verdict is Verdict.VERIFIED
    assert report.signature.recovered
    assert any("repair" in each for each in report.notes)


def record_time() -> int:
    from tests.evidence.evidence_material import now_valid_ns

    return now_valid_ns()
