"""A copy of the registry that is right whatever order its pieces arrive in.

A specification is taken when its revision is above what is known of its camera. A camera ends in two ways
alone: it is said to be deleted, or the registry's list of all cameras, at a revision that is not below the
camera's own, does not name it. A store that is empty, damaged or old ends none.

Belongs here: which news is news. Does not: the bus (client, agent), what a process does about it (agent).
"""

from collections.abc import Iterable, Sequence

from vms.proto.camera_pb2 import CameraSpec, RegistryComplete

_NEVER = -1


class Replica:
    """Specifications by camera id. Fed by `offer` and `complete`, in any order and any number of times."""

    def __init__(self, specs: Iterable[CameraSpec] = ()) -> None:
        self.specs: dict[str, CameraSpec] = {spec.id: spec for spec in specs}
        self._ended: dict[str, int] = {}  # revision at which a camera ended, above that of the list
        self._list: RegistryComplete | None = None
        self._missing: set[str] = set()
        self.loaded = False  # the list and every camera in it were here at one time

    def offer(self, spec: CameraSpec) -> bool:
        """Take `spec`, which may say that its camera is deleted; False when it is no news."""
        if spec.revision <= self.revision(spec.id):
            return False
        if spec.deleted:
            self.specs.pop(spec.id, None)
            self._ended[spec.id] = spec.revision
        else:
            self.specs[spec.id] = spec
            self._ended.pop(spec.id, None)
        self._arrived(spec)
        return True

    def complete(self, listed: RegistryComplete) -> Sequence[str]:
        """Take the registry's list of all cameras; the ids of those that have ended by it."""
        if self._list is not None and listed.revision < self._list.revision:
            return ()
        self._list = listed
        ended = [
            camera_id
            for camera_id, spec in self.specs.items()
            if camera_id not in listed.cameras and spec.revision <= listed.revision
        ]
        for camera_id in ended:
            del self.specs[camera_id]
        self._ended = {key: revision for key, revision in self._ended.items() if revision > listed.revision}
        self._missing = {
            camera_id for camera_id, revision in listed.cameras.items() if self.revision(camera_id) < revision
        }
        self.loaded = self.loaded or not self._missing
        return ended

    def revision(self, camera_id: str) -> int:
        """The revision up to which everything is known of a camera; -1 for one never heard of."""
        if camera_id in self.specs:
            return self.specs[camera_id].revision
        ended = self._ended.get(camera_id, _NEVER)
        if self._list is not None and camera_id not in self._list.cameras:
            return max(ended, self._list.revision)
        return ended

    def _arrived(self, spec: CameraSpec) -> None:
        if spec.id in self._missing and self._list is not None:
            if spec.revision >= self._list.cameras[spec.id]:
                self._missing.discard(spec.id)
            self.loaded = self.loaded or not self._missing
