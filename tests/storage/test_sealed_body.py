"""Encrypted recordings: the same bytes to whoever has the key, nothing to others, whatever interrupts a write."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vms.format.errors import FormatError
from vms.storage.bodies import create_body, open_body, open_reader
from vms.storage.body import PlainBody, WritableBody
from vms.storage.keyring import Keyring, KeyUnknown, key_id
from vms.storage.sealed import SealedBody
from vms.storage.sealed_log import (
    CHUNK_BYTES,
    HEADER_BYTES,
    TRAILER_BYTES,
    Kind,
    Record,
    chunk_nonce,
    parse_record,
)

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
RING = Keyring({key_id(KEY): KEY}, key_id(KEY))


def descriptor(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o640)


def created(path: Path) -> WritableBody:
    return create_body(descriptor(path), RING)


def opened(path: Path, keyring: Keyring = RING) -> WritableBody:
    return open_body(descriptor(path, os.O_RDWR), keyring)


def whole(body: WritableBody) -> bytes:
    return body.read_at(0, body.size_bytes)


def text(size: int, seed: int = 0) -> bytes:
    return Random(seed).randbytes(size)


def records(path: Path) -> list[Record]:
    """All of a whole file, as its headers tell them."""
    data, position, found = path.read_bytes(), HEADER_BYTES, []
    while position < len(data):
        record = parse_record(data[position : position + 40], position)
        assert record is not None
        found.append(record)
        position = record.end
    return found


def nonces(path: Path) -> list[bytes]:
    return [chunk_nonce(each.nonce, chunk) for each in records(path) for chunk in range(each.chunks)]


def test_a_closed_recording_reads_back_at_every_offset(tmp_path: Path) -> None:
    parts = [text(size, size) for size in (900, CHUNK_BYTES, 3 * CHUNK_BYTES + 17, 1)]
    body = created(tmp_path / "r.mp4")
    for part in parts:
        body.write([part[:100], part[100:]], body.size_bytes)
    body.write([b"F" * 16], 32)
    plain = bytearray(b"".join(parts))
    plain[32:48] = b"F" * 16
    assert whole(body) == plain
    body.close()
    again = opened(tmp_path / "r.mp4")
    random = Random(7)
    for _ in range(300):
        offset, size = random.randrange(len(plain) + 10), random.randrange(2 * CHUNK_BYTES)
        assert again.read_at(offset, size) == plain[offset : offset + size]
    again.close()


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3 * CHUNK_BYTES)),
        st.tuples(st.just("flip"), st.integers(0, 400_000)),
        st.tuples(st.just("cut"), st.integers(0, 400_000)),
        st.tuples(st.just("reopen"), st.just(0)),
        st.tuples(st.just("sync"), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps=_STEPS)
def test_it_holds_what_a_plain_file_would_after_any_steps(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("steps") / "r.mp4"
    body, model = created(path), bytearray()
    for number, (step, value) in enumerate(steps):
        data = text(value if step == "append" else 16, number)
        if step == "append":
            body.write([data], len(model))
            model += data
        elif step == "flip" and len(model) >= 16:
            at = value % (len(model) - 15)
            body.write([data], at)
            model[at : at + 16] = data
        elif step == "cut":
            body.truncate(value)
            del model[value:]
        elif step == "reopen" and model:
            body.close()
            body = opened(path)
        elif step == "sync":
            body.sync()
        assert body.size_bytes == len(model)
    assert whole(body) == model
    body.close()
    if model:
        assert whole(opened(path)) == model
        assert len(set(nonces(path))) == len(nonces(path))


def test_nothing_of_it_stands_in_the_file_in_the_clear(tmp_path: Path) -> None:
    body = created(tmp_path / "r.mp4")
    words = [b"front-door", b"\x00\x00\x00\x01\x67", b"ftypisom", b"moofmfhd"]
    body.write([b"".join(word * 20 for word in words)], 0)
    body.write([b"front-door-flip!"], 32)
    body.close()
    raw = (tmp_path / "r.mp4").read_bytes()
    for word in (*words, KEY, KEY.hex().encode()):
        assert word not in raw


def interrupted(path: Path, folder: Path) -> Iterator[tuple[int, Path]]:
    """Copies of a file as crashes at many of its bytes leave it."""
    data = path.read_bytes()
    ends = [record.end for record in records(path)]
    near = {end + step for end in [HEADER_BYTES, *ends] for step in (-17, -1, 0, 1, 39, 40, 41)}
    for size in sorted(near | set(range(0, len(data), 997))):
        if 0 <= size <= len(data):
            copy = folder / f"{size}.mp4"
            copy.write_bytes(data[:size])
            yield size, copy


def test_a_write_that_is_torn_at_any_byte_is_not_there_and_recording_goes_on_after_it(
    tmp_path: Path,
) -> None:
    path, folder = tmp_path / "r.mp4", tmp_path / "torn"
    folder.mkdir()
    body = created(path)
    plain, sizes = b"", [0]
    for size in (700, 5000, CHUNK_BYTES + 5, 30):
        body.write([text(size, size)], len(plain))
        plain += text(size, size)
        sizes.append(len(plain))
    body.close()
    seen = set()
    for size, copy in interrupted(path, folder):
        if size == 0:
            continue
        torn = opened(copy)
        kept = torn.size_bytes
        assert kept in sizes
        assert whole(torn) == plain[:kept]
        torn.write([b"more" * 300], kept)
        torn.write([b"F" * 16], 0)
        torn.close()
        again = opened(copy)
        assert whole(again) == b"F" * 16 + (plain[:kept] + b"more" * 300)[16:]
        again.close()
        assert len(set(nonces(copy))) == len(nonces(copy))
        seen.add(kept)
        copy.unlink()
    assert seen == set(sizes)


def test_two_copies_of_a_file_that_go_on_apart_never_share_a_nonce(tmp_path: Path) -> None:
    path, copy = tmp_path / "r.mp4", tmp_path / "restored.mp4"
    body = created(path)
    body.write([text(5000)], 0)
    shutil.copy(path, copy)  # as a snapshot of the disk, or a crash that takes the newest record
    body.write([text(3 * CHUNK_BYTES, 1)], 5000)
    body.close()
    restored = opened(copy)
    restored.write([text(3 * CHUNK_BYTES, 2)], 5000)
    restored.close()
    shared = records(copy)[0]
    both = {*nonces(path)} & {*nonces(copy)}
    assert both == {shared.nonce}, "only what they had in common before"


@pytest.mark.parametrize("closed", [True, False])
def test_a_changed_byte_is_an_error_or_changes_nothing_and_is_never_garbage(
    tmp_path: Path, closed: bool
) -> None:
    path = tmp_path / "r.mp4"
    body = created(path)
    plain = text(300) + text(200, 1) + text(400, 2)
    for start, end in ((0, 300), (300, 500), (500, 900)):
        body.write([plain[start:end]], start)
    live = path.read_bytes()
    body.close()
    data = path.read_bytes() if closed else live
    errors = 0
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x40
        path.write_bytes(changed)
        try:
            found = whole(body := opened(path))
        except (FormatError, KeyUnknown) as error:
            errors += 1
            if at >= HEADER_BYTES:
                assert "at" in str(error)
                assert "byte" in str(error)
        else:
            plain_file = at < 8  # its magic is gone: to us it is a plain file, which is no recording
            assert found in (plain, plain[:500], plain[:300], b"") or plain_file
            assert found == plain or not closed or plain_file
        finally:
            body.close()
    assert errors > 900 if closed else errors > 500


def test_records_that_change_places_or_files_are_not_taken(tmp_path: Path) -> None:
    first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
    for path, seed in ((first, 1), (second, 2)):
        body = created(path)
        for number in range(3):
            body.write([text(500, 10 * seed + number)], 500 * number)
        body.close()
    a, b = first.read_bytes(), second.read_bytes()
    one, two, _, _ = records(first)
    swapped = a[: one.position] + a[two.position : two.end] + a[one.position : one.end] + a[two.end :]
    foreign = a[: two.position] + b[two.position : two.end] + a[two.end :]
    for data in (swapped, foreign):
        first.write_bytes(data)
        with pytest.raises(FormatError, match="changed or is damaged"):
            whole(opened(first))


def test_a_forged_header_cannot_take_away_what_came_before_it(tmp_path: Path) -> None:
    path = tmp_path / "r.mp4"
    body = created(path)
    for number in range(3):
        body.write([text(500, number)], 500 * number)
    data = path.read_bytes()
    two = records(path)[1]
    for forged in (two._replace(kind=Kind.CUT, offset=100), two._replace(offset=0)):
        path.write_bytes(data[: two.position] + forged.header() + data[two.position + 40 :])
        assert whole(opened(path)) == text(500)


def test_a_key_that_is_not_configured_is_named_by_its_id_alone(tmp_path: Path) -> None:
    body = created(tmp_path / "r.mp4")
    body.write([text(100)], 0)
    body.close()
    with pytest.raises(KeyUnknown, match=key_id(KEY).hex()) as caught:
        opened(tmp_path / "r.mp4", Keyring({key_id(OTHER): OTHER}, key_id(OTHER)))
    assert KEY.hex() not in str(caught.value)
    assert whole(opened(tmp_path / "r.mp4", Keyring({key_id(KEY): KEY, key_id(OTHER): OTHER}, None)))


def test_without_a_key_recordings_are_plain_and_with_one_old_plain_ones_are_still_read(
    tmp_path: Path,
) -> None:
    body = create_body(descriptor(tmp_path / "r.mp4"), Keyring())
    assert isinstance(body, PlainBody)
    body.write([b"plain"], 0)
    body.close()
    assert whole(opened(tmp_path / "r.mp4")) == b"plain"


def test_a_file_that_was_being_created_is_empty_whatever_is_there_of_its_header(tmp_path: Path) -> None:
    body = created(tmp_path / "r.mp4")
    body.write([text(10)], 0)
    body.close()
    header = (tmp_path / "r.mp4").read_bytes()[:HEADER_BYTES]
    for size in range(1, HEADER_BYTES + 1):
        (tmp_path / "torn.mp4").write_bytes(header[:size])
        body = opened(tmp_path / "torn.mp4", RING if size == HEADER_BYTES else Keyring())
        assert isinstance(body, SealedBody)
        assert (body.size_bytes, body.read_at(0, 100)) == (0, b"")
        body.close()


def test_a_reader_of_a_growing_file_sees_whole_records_alone(tmp_path: Path) -> None:
    path, part = tmp_path / "r.mp4", tmp_path / "part.mp4"
    writer = created(path)
    writer.write([text(1000)], 0)
    data = path.read_bytes()
    writer.write([text(2000, 1)], 1000)
    grown = path.read_bytes()
    part.write_bytes(data)
    reader = open_body(descriptor(part, os.O_RDONLY), RING)
    assert reader.size_bytes == 1000
    for size in (len(data) + 1, len(data) + 40, len(grown) - 1):
        part.write_bytes(grown[:size])
        assert reader.size_bytes == 1000
        assert reader.read_at(900, 500) == text(1000)[900:]
    part.write_bytes(grown)
    assert reader.read_at(900, 500) == (text(1000) + text(2000, 1))[900:1400]
    assert reader.size_bytes == 3000


def test_a_closed_file_of_an_hour_opens_in_three_reads_from_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "r.mp4"
    body = created(path)
    for number in range(7200):
        body.write([number.to_bytes(4) * 25], number * 100)
    body.write([b"F" * 16], 32)
    body.sync()
    stored = path.read_bytes()
    reads: list[int] = []

    def read_at(offset: int, size: int) -> bytes:
        reads.append(size)
        return stored[offset : offset + size]

    reader = open_reader(read_at, len(stored), RING)
    assert len(reads) <= 4, "the magic, the header, the end, the index"
    assert reader.size_bytes == 720_000
    assert reader.read_at(7000 * 100, 4) == (7000).to_bytes(4)
    assert len(reads) <= 5
    body.close()
    assert path.read_bytes() == stored, "what the sync after the flip closed is not touched again"


def test_a_torn_index_costs_nothing_but_the_scan(tmp_path: Path) -> None:
    path = tmp_path / "r.mp4"
    body = created(path)
    body.write([text(5000)], 0)
    body.write([b"F" * 16], 0)
    body.close()
    data = path.read_bytes()
    for cut in (1, TRAILER_BYTES, TRAILER_BYTES + 20):
        path.write_bytes(data[:-cut])
        assert whole(opened(path)) == b"F" * 16 + text(5000)[16:]
    path.write_bytes(
        data[: -TRAILER_BYTES - 60] + bytes(60) + data[-TRAILER_BYTES:]
    )  # never reached the disk
    assert whole(opened(path)) == b"F" * 16 + text(5000)[16:]
    assert records(path)[-1].kind is Kind.INDEX


def test_what_a_power_loss_leaves_as_zeros_at_the_end_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "r.mp4"
    body = created(path)
    for number in range(3):
        body.write([text(1000, number)], number * 1000)
    data = path.read_bytes()
    path.write_bytes(data[:-500] + bytes(500))
    assert opened(path).size_bytes == 2000


def test_threads_read_one_body_at_once(tmp_path: Path) -> None:
    path, plain = tmp_path / "r.mp4", text(40 * CHUNK_BYTES)
    body = created(path)
    for at in range(0, len(plain), 100_000):
        body.write([plain[at : at + 100_000]], at)
    body.close()
    reader = opened(path)

    def check(seed: int) -> bool:
        random = Random(seed)
        offsets = [random.randrange(len(plain)) for _ in range(40)]
        return all(reader.read_at(at, 70_000) == plain[at : at + 70_000] for at in offsets)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(check, range(8)))
