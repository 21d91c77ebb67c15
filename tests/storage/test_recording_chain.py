"""Each recording names the one before it, over cuts, gaps, and lives of the process."""

import itertools
from pathlib import Path

from tests.storage.conftest import Start
from tests.storage.scripted_camera import ScriptedCamera, written

from vms.common.clock import ManualClock
from vms.common.ids import CameraId
from vms.common.secrets import KEY_NAME, make_key
from vms.config import VolumeConfig
from vms.evidence.keys import ensure_keys, open_signer
from vms.format.hybrid import Proof
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH = CameraId("porch")


async def proofs(service: StorageService) -> list[Proof]:
    """Of the recordings, in order."""
    found = []
    for segment in await service.segments(PORCH, *ALL):
        with await service.open(segment.id) as opened:
            proof = opened.file.proof
            assert proof is not None, "it is signed"
            found.append(proof)
    return found


async def test_every_file_names_the_one_before_it_also_after_a_restart(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    secrets = make_key(tmp_path / KEY_NAME)
    ensure_keys(tmp_path, "node", secrets)
    options = {
        "volumes": [VolumeConfig(path=tmp_path / name, quota=1 << 30) for name in ("a", "b")],
        "signer": open_signer(tmp_path, secrets),
        "segment_s": 4.0,
    }
    for _ in range(2):
        service = await start(**options)
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        await service._recording.precedents_known()
        for _ in range(3):
            camera.play(4)
            await written(service)
        camera.disconnect()
        camera.reconnect(5)
        camera.play(3)
        await service.stop_recording(PORCH)
        found = await proofs(service)
        await service.stop()
        clock.advance(60)
    assert len(found) >= 8
    assert found[0].statement.previous is None
    for before, after in itertools.pairwise(found):
        previous = after.statement.previous
        assert previous is not None
        assert previous.segment_id == before.statement.identity.segment_id
        assert previous.chain_digest == before.chain_digest


async def test_a_late_answer_still_links_the_first_file(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    secrets = make_key(tmp_path / KEY_NAME)
    ensure_keys(tmp_path, "node", secrets)
    options = {"signer": open_signer(tmp_path, secrets), "segment_s": 60.0}
    for _ in range(2):
        service = await start(**options)
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        camera.play(5)  # the answer comes when this has let the loop go on
        await written(service)
        await service._recording.precedents_known()
        await service.stop_recording(PORCH)
        found = await proofs(service)
        await service.stop()
        clock.advance(60)
    first, second = found
    assert second.statement.previous is not None
    assert second.statement.previous.segment_id == first.statement.identity.segment_id
