"""Keys are made when the system first starts, and never again."""

from pathlib import Path

from vms.app.evidence_keys import make_evidence_keys
from vms.common.secrets import KEY_NAME, make_key
from vms.evidence.keys import NODE_NAME, installation_signer


async def test_keys_are_made_once(tmp_path: Path) -> None:
    make_key(tmp_path / KEY_NAME)
    await make_evidence_keys(tmp_path, "node-a")
    first = installation_signer(tmp_path)
    await make_evidence_keys(tmp_path, "another-name")
    again = installation_signer(tmp_path)
    assert (again.fingerprint, again.node) == (first.fingerprint, "node-a")


async def test_keys_that_cannot_be_used_keep_nobody_from_recording(tmp_path: Path) -> None:
    await make_evidence_keys(tmp_path, "node-a")  # no secret: the registry could not be opened
    make_key(tmp_path / KEY_NAME)
    await make_evidence_keys(tmp_path, "node-a")
    (tmp_path / "keys" / NODE_NAME).write_bytes(b"damaged")
    await make_evidence_keys(tmp_path, "node-a")
    assert (tmp_path / "keys" / NODE_NAME).read_bytes() == b"damaged"
