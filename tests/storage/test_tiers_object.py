"""A tier in a bucket of a real S3 server."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import obstore
import pytest
from tests.storage.seaweedfs import ACCESS_KEY, SECRET_KEY, S3Server

from vms.storage.body import PlainBody
from vms.storage.tiers import CopyDiffers, TierUnavailable
from vms.storage.tiers.blocks import BLOCK_BYTES, BlockCache
from vms.storage.tiers.object import PART_BYTES, ObjectTier
from vms.storage.tiers.pace import MovePace, MoveStopped

NAME = "porch/2026-11-23/14-05-00.000Z-main.mp4"
OTHER = "porch/2026-11-24/14-05-00.000Z-main.mp4"
DATA = random.Random(8).randbytes(2 * PART_BYTES + 3_333_333)


@pytest.fixture
def store(s3_server: S3Server) -> ObjectTier:
    return ObjectTier(s3_server.tier(), uuid4(), BlockCache())


def body(data: bytes = DATA) -> PlainBody:
    descriptor = os.memfd_create("recording")
    os.write(descriptor, data)
    return PlainBody(descriptor)


def read(store: ObjectTier, name: str) -> bytes:
    opened = store.open(name)
    return opened.read_at(0, opened.size_bytes)


@pytest.mark.parametrize(
    "size", [1, 4096, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, len(DATA)]
)
def test_a_file_of_any_number_of_parts_is_what_was_sent(store: ObjectTier, size: int) -> None:
    assert store.put_file(NAME, body(DATA[:size])) == size
    assert read(store, NAME) == DATA[:size]


def test_copies_are_listed_and_removed(store: ObjectTier) -> None:
    assert list(store.list()) == []
    store.put_file(NAME, body(b"one"))
    store.put_file(OTHER, body(b"other"))
    assert [(each.name, each.size_bytes) for each in store.list()] == [(NAME, 3), (OTHER, 5)]
    assert [each.name for each in store.list("porch/2026-11-24/")] == [OTHER]
    assert [each.name for each in store.list("porch/2026-11-2")] == [NAME, OTHER]
    store.delete([NAME, "porch/2026-11-23/00-00-00.000Z-main.mp4"])
    assert [each.name for each in store.list()] == [OTHER]
    with pytest.raises(FileNotFoundError):
        store.open(NAME)


def test_each_read_of_any_range_gives_its_bytes(store: ObjectTier) -> None:
    store.put_file(NAME, body())
    opened, draw = store.open(NAME), random.Random(9)
    for _ in range(200):
        offset = draw.randrange(len(DATA) + 10)
        size = draw.choice([1, 100, BLOCK_BYTES, BLOCK_BYTES + 1, 3_000_000])
        assert opened.read_at(offset, size) == DATA[offset : offset + size]


def test_a_range_is_one_request_and_reading_it_again_none(store: ObjectTier) -> None:
    store.put_file(NAME, body())
    opened = store.open(NAME)
    before = store.requests
    opened.read_at(5_000_000, 1_500_000)
    assert store.requests == before + 1
    opened.read_at(5_100_000, 300_000)
    store.open(NAME).read_at(5_500_000, 1000)
    assert store.requests == before + 1


def test_reading_on_asks_for_more_than_was_wanted(store: ObjectTier) -> None:
    store.put_file(NAME, body())
    opened = store.open(NAME)
    before = store.requests
    read = b"".join(opened.read_at(at, 256 << 10) for at in range(0, len(DATA), 256 << 10))
    assert read == DATA
    assert store.requests - before <= len(DATA) // (4 << 20) + 2


def test_memory_for_blocks_is_bounded(s3_server: S3Server) -> None:
    cache = BlockCache(8 * BLOCK_BYTES)
    store = ObjectTier(s3_server.tier(), uuid4(), cache)
    store.put_file(NAME, body())
    assert read(store, NAME) == DATA
    assert len(cache._blocks) == 8


def test_an_object_that_was_replaced_is_not_mixed_with_what_it_was(store: ObjectTier) -> None:
    store.put_file(NAME, body())
    opened = store.open(NAME)
    opened.read_at(0, 1000)
    store.put_file(NAME, body(DATA[::-1]))
    with pytest.raises(FileNotFoundError):
        opened.read_at(len(DATA) - 1000, 1000)
    assert read(store, NAME) == DATA[::-1]


def test_an_object_that_was_deleted_says_so_to_who_reads_it(store: ObjectTier) -> None:
    store.put_file(NAME, body())
    opened = store.open(NAME)
    store.delete([NAME])
    with pytest.raises(FileNotFoundError):
        opened.read_at(len(DATA) - 1000, 1000)


def test_a_store_with_tags_of_another_kind_is_read_back(
    store: ObjectTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = obstore.head
    monkeypatch.setattr(obstore, "head", lambda *args: head(*args) | {"e_tag": '"opaque"'})
    assert store.put_file(NAME, body()) == len(DATA)
    monkeypatch.setattr("vms.storage.tiers.object._Parts.e_tag", "0" * 32)
    send = store._send

    def damaged(name: str, size: int, parts: object) -> None:
        list(parts)  # type: ignore[call-overload]
        obstore.put(store._writing, name, DATA[:-1] + b"?")

    monkeypatch.setattr(store, "_send", damaged)
    with pytest.raises(CopyDiffers, match="not what was sent"):
        store.put_file(OTHER, body())
    assert [each.name for each in store.list()] == [NAME], "what differs does not stay"
    assert send is not None


def test_what_is_given_up_in_the_middle_is_not_there(store: ObjectTier) -> None:
    pace, pieces = MovePace(1 << 40), []

    def give_up(size: int) -> None:
        pieces.append(size)
        if len(pieces) == 12:
            pace.stop()
        pace(size)

    with pytest.raises(MoveStopped):
        store.put_file(NAME, body(), give_up)
    assert list(store.list()) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"secret_key": "wrong-key-0123456789"}, "SignatureDoesNotMatch"),
        ({"access_key": "nobody-0123456789"}, "InvalidAccessKeyId"),
        ({"endpoint": "http://127.0.0.1:9"}, "no connection"),
    ],
)
def test_errors_say_what_to_do_and_name_no_keys(
    s3_server: S3Server,
    options: dict[str, str],
    reason: str,
) -> None:
    config = s3_server.tier(**options)
    store = ObjectTier(config, uuid4(), BlockCache())
    attempts: list[Callable[[], object]] = [
        lambda: store.put_file(NAME, body(b"1")),
        lambda: store.put_file(NAME, body()),
        lambda: store.open(NAME),
        lambda: store.delete([NAME]),
        lambda: list(store.list()),
        store.check,
    ]
    for attempt in attempts:
        with pytest.raises(TierUnavailable, match=reason) as caught:
            attempt()
        told = str(caught.value) + repr(caught.value) + repr(caught.value.__cause__) + repr(store)
        assert "tier cloud: " in told
        assert "check" in told
        for secret in (ACCESS_KEY, SECRET_KEY, *options.values()):
            assert secret.startswith("http") or secret not in told


def test_a_bucket_that_is_not_there_is_a_tier_that_cannot_be_used(s3_server: S3Server) -> None:
    store = ObjectTier(s3_server.tier(url="s3://no-such-bucket"), uuid4(), BlockCache())
    attempts: list[Callable[[], object]] = [
        lambda: store.put_file(NAME, body(b"1")),
        lambda: store.delete([NAME]),
        lambda: list(store.list()),
        store.check,
    ]
    for attempt in attempts:
        try:
            attempt()
        except TierUnavailable as error:
            assert "bucket" in str(error)


def test_a_server_that_is_killed_and_comes_back_is_used_again(s3_server: S3Server) -> None:
    store = ObjectTier(s3_server.tier(), uuid4(), BlockCache())
    store.put_file(NAME, body())
    opened = store.open(NAME)
    first = opened.read_at(0, 1000)
    s3_server.kill()
    try:
        with pytest.raises(TierUnavailable, match="no connection"):
            opened.read_at(len(DATA) - 1000, 1000)
        with pytest.raises(TierUnavailable):
            store.put_file(OTHER, body())
        assert opened.read_at(0, 1000) == first, "what is remembered needs no server"
    finally:
        s3_server.start()
    assert opened.read_at(len(DATA) - 1000, 1000) == DATA[-1000:]
    assert read(store, NAME) == DATA


def test_the_secret_is_read_from_a_file_that_only_this_user_may_read(
    s3_server: S3Server,
    tmp_path: Path,
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET_KEY}\n")
    file.chmod(0o644)
    config = s3_server.tier(secret_key=None, secret_key_file=file)
    with pytest.raises(TierUnavailable, match=r"may be read by others \(mode 0644\); run: chmod 600"):
        ObjectTier(config, uuid4()).put_file(NAME, body(b"1"))
    file.chmod(0o600)
    ObjectTier(config, uuid4()).put_file(NAME, body(b"1"))
    file.unlink()
    with pytest.raises(TierUnavailable, match="No such file"):
        ObjectTier(config, uuid4()).put_file(NAME, body(b"1"))
