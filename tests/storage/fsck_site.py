"""A stopped system with recordings, as ``vms fsck`` finds it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.storage.scripted_camera import ScriptedCamera, written

from vms.common.clock import NS, ManualClock
from vms.common.secrets import KEY_NAME, make_key
from vms.config import TierConfig, VolumeConfig
from vms.evidence.keys import ensure_keys, open_signer
from vms.format.hybrid import Proof, read_segment
from vms.format.hybrid.layout import FLIP_OFFSET, OPEN_FLIP
from vms.storage.body import PlainBody
from vms.storage.identity import read_identity
from vms.storage.keyring import new_key_file
from vms.storage.service import StorageService
from vms.storage.tiers import TierStore, open_tiers

_MINUTE_NS = 60 * NS


def now_ns() -> int:
    """The beginning of a minute, so that segments are cut at the same places whenever tests run."""
    return time.time_ns() // _MINUTE_NS * _MINUTE_NS


class Site:
    """A stopped system with some recordings, as the command finds it."""

    def __init__(self, root: Path) -> None:
        self.data_dir = root / "data"
        self.volume = root / "volume"
        self.data_dir.mkdir()
        (self.data_dir / "system-id").write_text("here")
        secrets = make_key(self.data_dir / KEY_NAME)
        ensure_keys(self.data_dir, "node-a", secrets)
        self.signer = open_signer(self.data_dir, secrets)
        self.config = root / "vms.yaml"
        self.tree = {
            "data_dir": str(self.data_dir),
            "storage": {"volumes": [{"path": str(self.volume), "quota": "1GiB"}]},
        }
        self._next_ns = now_ns()
        self.options: dict[str, object] = self.tree["storage"]["volumes"][0]  # type: ignore[index]

    def encrypt(self) -> Path:
        """With a new key, in the file that it gives; the one before can still be read."""
        key = self.data_dir / f"{len(list(self.data_dir.glob('*.volume')))}.volume"
        new_key_file(key)
        before = self.options.get("encryption")
        previous = [{"key_file": before["key_file"]}] if isinstance(before, dict) else []
        self.options["encryption"] = {"key_file": str(key), "previous": previous}
        return key

    def add_tier(self, tier: TierConfig) -> None:
        tree = tier.model_dump(mode="json", exclude_none=True)
        for name in ("access_key", "secret_key"):
            secret = getattr(tier, name)
            if secret is not None:
                tree[name] = secret.get_secret_value()
        self.options["tiers"] = [tree | {"after": "0s"}]

    @contextmanager
    def store(self) -> Iterator[TierStore]:
        """The volume's part of its tier."""
        volume_id = read_identity(self.volume)
        assert volume_id is not None
        (store,) = open_tiers(VolumeConfig.model_validate(self.options), volume_id).values()
        yield store
        store.close()

    async def move(self) -> None:
        """All recordings to the tier."""
        service = self.service(ManualClock(now_ns() + 3600 * NS))
        await service.start()
        await service.recovered()
        (keeper,) = service._keepers
        await keeper.look()
        assert keeper.mover is not None
        await keeper.mover.settled()
        await keeper.mover.settled()  # removes what the first left
        assert keeper.mover.states()[0].error == ""
        await service.stop()
        assert self.files == []

    def service(self, clock: ManualClock) -> StorageService:
        volume = VolumeConfig.model_validate(self.options)
        return StorageService([volume], 4.0, clock, system_id="here", signer=self.signer)

    async def record(self, seconds: float, *, crash: bool = False) -> None:
        """A minute after what was recorded before."""
        clock = ManualClock(self._next_ns)
        self._next_ns += _MINUTE_NS
        service = self.service(clock)
        await service.start()
        camera = ScriptedCamera(clock, audio=True)
        service.record(camera.camera, camera.hub)
        camera.play(seconds)
        await written(service)
        if crash:
            copy = self.volume.with_name("crashed")
            shutil.copytree(self.volume, copy)
        await service.stop()
        if crash:
            shutil.rmtree(self.volume)
            copy.rename(self.volume)
            return
        again = self.service(clock)  # gives the last files their rows, however busy the machine was
        await again.start()
        await again.recovered()
        await again.stop()

    @property
    def files(self) -> list[Path]:
        return sorted(self.volume.rglob("*.mp4"))

    def name(self, path: Path) -> str:
        return path.relative_to(self.volume).as_posix()

    def fsck(self, *options: str, status: int) -> dict[str, list[str]]:
        """What was found, names by kind; `status` is what the command must end with."""
        self.config.write_text(json.dumps(self.tree))
        command = [sys.executable, "-m", "vms", "fsck", "--config", str(self.config), "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, (done.stdout, done.stderr)
        self.document = json.loads(done.stdout)
        found: dict[str, list[str]] = {}
        for volume in self.document["volumes"]:
            for each in volume["findings"]:
                found.setdefault(each["kind"], []).append(each["name"])
        return found

    def repaired(self) -> set[tuple[str, str]]:
        return {
            (each["kind"], each["name"])
            for volume in self.document["volumes"]
            for each in volume["findings"]
            if each["repaired"]
        }

    def contents(self) -> dict[str, bytes]:
        return {self.name(path): path.read_bytes() for path in self.volume.rglob("*/*/*") if path.is_file()}


def torn_of(whole: bytes) -> bytes:
    """As if its recorder had died."""
    data = bytearray(whole)
    file = read_segment(lambda offset, size: whole[offset : offset + size], len(whole))
    del data[file.fragments[-1].end :]
    data[FLIP_OFFSET : FLIP_OFFSET + len(OPEN_FLIP)] = OPEN_FLIP
    return bytes(data)


def torn_and_changed(whole: bytes) -> bytes:
    """The same, but one byte of a picture is another."""
    data = bytearray(torn_of(whole))
    file = read_segment(lambda offset, size: whole[offset : offset + size], len(whole))
    data[file.fragments[0].end - 1] ^= 1
    return bytes(data)


def signature_of(path: Path) -> Proof | None:
    with path.open("rb") as file:
        data = file.read()
    return read_segment(lambda offset, size: data[offset : offset + size], len(data)).proof


def stored(store: TierStore, name: str) -> bytes:
    """What lies in a tier."""
    body = store.open(name)
    try:
        return body.read_at(0, body.size_bytes)
    finally:
        body.close()


def put(store: TierStore, name: str, data: bytes) -> None:
    """An object in a tier."""
    descriptor = os.memfd_create("object")
    os.write(descriptor, data)
    body = PlainBody(descriptor)
    store.put_file(name, body)
    body.close()
