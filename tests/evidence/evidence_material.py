"""Signed recordings to tamper with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tests.format.format_material import AUDIO, NS, START_NS, VIDEO, interleave, pictures, sounds

from vms.common.secrets import KEY_NAME, Secrets, make_key
from vms.evidence.keys import NodeSigner, ensure_keys, open_signer
from vms.evidence.trust import Trust
from vms.format.hybrid import (
    Fragment,
    PreviousFile,
    Sealing,
    SegmentIdentity,
    SegmentWriter,
    Signer,
    fragment_digest,
)
from vms.media import AccessUnit, Track

SIGNED_NS = START_NS + 3600 * NS


def now_valid_ns() -> int:
    """A time at which keys made by the test are valid."""
    import time

    return time.time_ns()


@dataclass
class Installation:
    """A data directory with keys."""

    data_dir: Path
    secrets: Secrets

    @property
    def signer(self) -> NodeSigner:
        return open_signer(self.data_dir, self.secrets)

    @property
    def trust(self) -> Trust:
        return Trust.of_data_dir(self.data_dir)


def install(data_dir: Path, node: str = "node-a") -> Installation:
    """Keys as the first start makes them."""
    secrets = make_key(data_dir / KEY_NAME)
    ensure_keys(data_dir, node, secrets)
    return Installation(data_dir, secrets)


@dataclass
class Signed:
    """A recording as bytes, and what its recorder knew of it."""

    data: bytes
    open: bytes
    fragments: list[Fragment]
    digests: list[bytes]
    identity: SegmentIdentity
    chain_digest: bytes
    tail_offset: int

    @property
    def link(self) -> PreviousFile:
        return PreviousFile(self.identity.segment_id, self.chain_digest)

    def fragment(self, index: int) -> bytes:
        each = self.fragments[index]
        return self.data[each.offset : each.end]

    @property
    def beginning(self) -> bytes:
        return self.data[: self.fragments[0].offset]

    @property
    def tail(self) -> bytes:
        return self.data[self.tail_offset :]


def record_signed(
    signer: Signer | None,
    units: Sequence[AccessUnit] | None = None,
    *,
    tracks: Sequence[Track] = (VIDEO, AUDIO),
    number: int = 1,
    camera: str = "front-door",
    previous: PreviousFile | None = None,
) -> Signed:
    """A closed recording; unsigned without a signer. `number` makes other ids."""
    identity = SegmentIdentity(UUID(int=0x019AB000_0000_7000_8000_000000000000 + number), camera, "main")
    writer = SegmentWriter(tracks, identity)
    if units is None:
        start = number * 90_000 * 4
        units = interleave(
            pictures(2, fps=5, gop=3, start=start), sounds(2, start=start * 8000 // 90_000 + 160)
        )
    written = [writer.push(each) for each in units]
    written.append(writer.flush())
    data = bytearray(writer.header())
    digests = []
    for each in written:
        if each is not None:
            data += b"".join(each.buffers)
            digests.append(fragment_digest(each.buffers))
    opened = bytes(data)
    sealing = None if signer is None else Sealing(digests, signer, now_valid_ns(), previous)
    finish = writer.finish(sealing)
    data += finish.tail
    data[finish.flip_offset : finish.flip_offset + 16] = finish.flip
    return Signed(
        bytes(data),
        opened,
        writer.fragments,
        digests,
        identity,
        writer.chain_digest(digests),
        finish.tail_offset,
    )
