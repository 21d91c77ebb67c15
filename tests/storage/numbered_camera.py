"""A scripted camera whose units carry a number, so that a test finds each in the files again."""

from collections import Counter

from tests.storage.scripted_camera import ScriptedCamera

from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.format.hybrid import read_samples
from vms.media import AccessUnit, Hub, MediaKind
from vms.storage.service import StorageService

_NUMBER_BYTES = 8
_FILLER = (1 + _NUMBER_BYTES).to_bytes(4) + b"\x0c"  # a NAL unit of filler data (ITU-T H.264 §7.3.2.7)


class NumberingHub(Hub):
    """log: every unit, at its number."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.log: list[AccessUnit] = []

    def push(self, unit: AccessUnit) -> None:
        number = len(self.log).to_bytes(_NUMBER_BYTES)
        if unit.track.kind is MediaKind.VIDEO:
            data = unit.data + _FILLER + number
        else:
            data = unit.data[:-_NUMBER_BYTES] + number
        self.log.append(unit)
        super().push(unit._replace(data=data))


class NumberedCamera(ScriptedCamera):
    """hub.log: what it delivered."""

    hub: NumberingHub

    def __init__(
        self, clock: Clock, camera_id: str = "porch", *, video: bool = True, audio: bool = False
    ) -> None:
        super().__init__(clock, camera_id, video=video, audio=audio)
        self.hub = NumberingHub(camera_id)
        self.announce()

    def pictures(self) -> list[int]:
        """The numbers of its pictures, in order."""
        return [number for number, unit in enumerate(self.hub.log) if unit.track.kind is MediaKind.VIDEO]


async def numbers_kept(service: StorageService, camera: str = "porch") -> Counter[int]:
    """How often each unit is in the recordings of a camera."""
    found: Counter[int] = Counter()
    for segment in await service.segments(CameraId(camera), 0, 1 << 62):
        with await service.open(segment.id) as opened:
            for table in read_samples(opened.read_at, opened.file).values():
                for offset, size in zip(table.offsets, table.sizes, strict=True):
                    data = opened.read_at(offset, size)
                    found[int.from_bytes(data[-_NUMBER_BYTES:])] += 1
    return found
