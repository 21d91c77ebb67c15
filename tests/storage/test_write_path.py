"""From a fragment to a closed file: digests, signatures, encryption, and what is kept in memory meanwhile."""

import gc
import os
import weakref
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from structlog.testing import capture_logs
from tests.storage.one_writer import SYSTEM, Film, drained, running
from tests.storage.scripted_camera import NOON_NS, pictures, until

from vms.common.clock import ManualClock
from vms.common.errors import Unavailable
from vms.common.secrets import Secrets
from vms.config import EncryptionConfig, VolumeConfig
from vms.evidence.keys import NodeSigner, ensure_keys, open_signer
from vms.format.hybrid import PreviousFile, Proof, SegmentFile, Signer, read_segment
from vms.storage import disk
from vms.storage.bodies import open_body
from vms.storage.errors import VolumeUnavailable
from vms.storage.identity import KnownVolumes
from vms.storage.keyring import Keyring, load_keyring
from vms.storage.recording_volume import RecordingVolume


@pytest.fixture
def signer(tmp_path: Path) -> NodeSigner:
    secrets = Secrets(bytes(32))
    ensure_keys(tmp_path / "data", "node-1", secrets)
    return open_signer(tmp_path / "data", secrets)


@pytest.fixture
def encryption(tmp_path: Path) -> EncryptionConfig:
    file = tmp_path / "volume.key"
    file.touch(0o600)
    file.write_text(bytes(range(32)).hex())
    return EncryptionConfig(key_file=file)


def proof_of(path: Path, keyring: Keyring | None = None) -> Proof:
    """That of a file, checked: each leaf against its fragment, the signature against the certificate."""
    body = open_body(os.open(path, os.O_RDONLY), keyring or Keyring())
    file = read_segment(body.read_at, body.size_bytes)
    proof = _checked(file, [sha256(body.read_at(each.offset, each.size)).digest() for each in file.fragments])
    body.close()
    return proof


def _checked(file: SegmentFile, leaves: list[bytes]) -> Proof:
    proof = file.proof
    assert proof is not None
    assert proof.digests == b"".join(leaves)
    key = x509.load_der_x509_certificate(proof.certificates[0]).public_key()
    assert isinstance(key, Ed25519PublicKey)
    key.verify(proof.signature, proof.signed)
    assert proof.statement.identity == file.identity
    return proof


async def test_a_closed_file_is_signed_over_what_is_in_it(tmp_path: Path, signer: NodeSigner) -> None:
    async with running(tmp_path / "volume", signer=signer) as writer:
        film = Film(writer)
        film.play(3.0)
        live = film.cut()
        await live.finished.wait()
        proof = proof_of(live.path)
        assert proof.statement.node == "node-1"
        assert proof.statement.signed_ns == NOON_NS
        assert not proof.statement.recovered
        assert live.link() == PreviousFile(live.identity.segment_id, proof.chain_digest)
        assert writer.unsigned == 0


async def test_a_recording_names_the_one_before_it(tmp_path: Path, signer: NodeSigner) -> None:
    async with running(tmp_path / "volume", signer=signer) as writer:
        film = Film(writer)
        film.play(1.0)
        first = film.cut()
        film.play(1.0, previous=first)
        second = film.cut()
        film.play(1.0, previous=PreviousFile(second.identity.segment_id, bytes(range(32))))
        third = film.cut()
        for live in (first, second, third):
            await live.finished.wait()
        assert proof_of(first.path).statement.previous is None
        assert proof_of(second.path).statement.previous == first.link()
        assert first.link() is not None
        assert proof_of(third.path).statement.previous == PreviousFile(
            second.identity.segment_id, bytes(range(32))
        )


async def test_a_closed_segment_is_let_go_of_while_the_next_one_lasts(
    tmp_path: Path, signer: NodeSigner
) -> None:
    async with running(tmp_path / "volume", signer=signer, sync_interval_s=0.02) as writer:
        film = Film(writer)
        film.play(1.0)
        first = film.cut()
        await first.finished.wait()
        link, gone = first.link(), weakref.ref(first.writer)
        film.play(1.2, previous=first)
        second = film.live
        assert second is not None
        film.closed.clear()
        del first
        await until(lambda: second.previous == link, "the segment before to be let go of")
        gc.collect()
        assert gone() is None, "the tables of a closed segment stay in memory"
        film.cut()
        await second.finished.wait()
        assert second.previous is None
        assert proof_of(second.path).statement.previous == link


async def test_a_segment_that_the_disk_cut_is_not_vouched_for(
    tmp_path: Path, signer: NodeSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path / "volume", signer=signer) as writer:
        film = Film(writer)
        film.play(2.0)
        await drained(writer)

        def refuse(*_: object) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as broken:
            broken.setattr(disk, "write_all", refuse)
            film.play(1.0)
            await until(lambda: bool(film.owner.failed), "the failure")
        first = film.cut()
        await first.finished.wait()
        writer.volume.resume()
        film.play(1.0, previous=first)
        second = film.cut()
        await second.finished.wait()
        assert first.link() is None
        assert proof_of(second.path).statement.previous is None


class _Broken:
    """A signer whose key went away. Implements Signer."""

    node = "node-1"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def certificates(self) -> list[bytes]:
        return [b"certificate"]

    def sign(self, data: bytes) -> bytes:
        raise self._error


@pytest.mark.parametrize("error", [Unavailable("the key is gone"), RuntimeError("unexpected")])
async def test_a_recording_that_cannot_be_signed_is_kept_and_counted(
    tmp_path: Path, error: Exception
) -> None:
    broken: Signer = _Broken(error)
    with capture_logs() as logs:
        async with running(tmp_path / "volume", signer=broken) as writer:
            film = Film(writer)
            film.play(2.0)
            live = film.cut()
            await live.finished.wait()
            assert writer.unsigned == 1
            assert writer.volume.error is None
            assert film.owner.failed == []
            assert live.link() is not None, "what is in it is known all the same"
    data = live.path.read_bytes()
    file = read_segment(lambda at, size: data[at : at + size], len(data))
    assert file.closed
    assert file.proof is None
    (told,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert told["camera"] == "porch"
    assert str(error) in told["reason"]


async def test_without_a_signer_nothing_is_hashed(tmp_path: Path) -> None:
    async with running(tmp_path / "volume") as writer:
        film = Film(writer)
        film.play(2.0)
        live = film.cut()
        await live.finished.wait()
        assert live.digests == []
        assert live.link() is None
        assert writer.unsigned == 0


async def test_a_sealed_volume_holds_nothing_in_the_clear_and_plays_with_its_key(
    tmp_path: Path, signer: NodeSigner, encryption: EncryptionConfig
) -> None:
    config = VolumeConfig(path=tmp_path / "volume", encryption=encryption)
    async with running(tmp_path / "volume", config=config, signer=signer) as writer:
        film = Film(writer, "front-door")
        film.play(3.0)
        live = film.cut()
        film.play(1.2)
        await drained(writer)
        await live.finished.wait()
        files = sorted((tmp_path / "volume" / "front-door").rglob("*.mp4"))
        assert len(files) == 2, "one closed, one being written"
        for file in files:
            raw = file.read_bytes()
            assert len(raw) > 1000
            for word in (b"front-door", b"moof", b"mdat", b"ftyp", b"avcC", *pictures()[1]):
                assert word[:24] not in raw
        film.cut()
    keyring = load_keyring(encryption)
    assert proof_of(live.path, keyring).chain_digest == live.chain_digest
    body = open_body(os.open(live.path, os.O_RDONLY), keyring)
    found = body.read_at(0, body.size_bytes)
    assert pictures()[1][0] in found
    body.close()


async def test_a_file_is_locked_until_it_is_closed_plain_or_sealed(
    tmp_path: Path, encryption: EncryptionConfig
) -> None:
    for name, chosen in (("plain", None), ("sealed", encryption)):
        config = VolumeConfig(path=tmp_path / name, encryption=chosen)
        async with running(tmp_path / name, config=config) as writer:
            film = Film(writer)
            film.play(2.0)
            await drained(writer)
            assert film.live is not None
            path = film.live.path
            with path.open("rb") as other:
                assert not disk.lock(other.fileno())
            live = film.cut()
            await live.finished.wait()
            with path.open("rb") as other:
                assert disk.lock(other.fileno())


@pytest.mark.parametrize("harm", ["missing", "open to others", "short"])
async def test_a_key_that_cannot_be_used_stops_the_volume_and_nothing_is_written_in_the_clear(
    tmp_path: Path, encryption: EncryptionConfig, harm: str
) -> None:
    assert encryption.key_file is not None
    if harm == "missing":
        encryption.key_file.unlink()
    elif harm == "short":
        encryption.key_file.write_text("abcd")
    else:
        encryption.key_file.chmod(0o644)
    config = VolumeConfig(path=tmp_path / "volume", encryption=encryption)
    volume = RecordingVolume(config, ManualClock(NOON_NS), KnownVolumes(None), SYSTEM)
    with pytest.raises(VolumeUnavailable, match=r"volume\.key") as caught:
        volume.open()
    volume.fail(caught.value)
    assert volume.kind_of_failure == "key"
    assert not volume.is_open
    with pytest.raises(VolumeUnavailable):
        _ = volume.keyring
    assert not (tmp_path / "volume").exists()


async def test_an_error_while_a_sealed_file_is_written_loses_nothing_that_was_visible(
    tmp_path: Path, encryption: EncryptionConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = VolumeConfig(path=tmp_path / "volume", encryption=encryption)
    async with running(tmp_path / "volume", config=config) as writer:
        film = Film(writer)
        film.play(3.0)
        await drained(writer)
        live = film.live
        assert live is not None
        visible = live.visible
        write_all = disk.write_all

        def torn(descriptor: int, buffers: list[bytes], offset: int) -> None:
            write_all(descriptor, [bytes(buffers[0])[:100]], offset)
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr(disk, "write_all", torn)
            film.play(1.0)
            await until(lambda: bool(film.owner.failed), "the failure")
        assert writer.volume.kind_of_failure == "full"
        film.cut()
        await live.finished.wait()
    body = open_body(os.open(live.path, os.O_RDONLY), load_keyring(encryption))
    file = read_segment(body.read_at, body.size_bytes)
    assert len(file.fragments) == visible
    body.close()
