"""The render role: thumbnails and exports, decoded out of recordings that it reads by itself.

It never talks to cameras, and nothing that records or plays depends on it.
"""

from collections.abc import Mapping, Sequence

from vms.app.role import Around, Method, OnChange, nobody_told
from vms.common.errors import Unavailable
from vms.proto import worker_pb2
from vms.storage.library import RecordingLibrary
from vms.storage.render import RenderService
from vms.storage.render.control import render_methods
from vms.storage.render.evidence import installation_evidence
from vms.storage.render.export_keys import ExportKeys
from vms.storage.segment import Segment
from vms.supervisor.counts import usable_cores
from vms.telemetry.metrics import MetricSource


class RenderRole:
    """Renders for one machine."""

    def __init__(self, around: Around) -> None:
        self.on_change: OnChange = nobody_told
        config, places, clock = around.config, around.places, around.clock
        self._library = RecordingLibrary(config.volumes(), clock)
        self._encrypted = [
            volume.path.absolute() for volume in config.volumes() if volume.encryption is not None
        ]
        self.service = RenderService(
            self._library,
            config.data_dir,
            clock,
            threads=usable_cores(),
            may_keep=self._may_keep,
            evidence=lambda: installation_evidence(config.data_dir, places.node()),
            keys=ExportKeys(config.volumes()),
        )
        self.service.exports.on_change = self._changed

    @property
    def sources(self) -> Sequence[MetricSource]:
        return [self.service, self.service.playback]

    @property
    def methods(self) -> Mapping[str, Method]:
        return render_methods(self.service)

    async def start(self) -> None:
        """Raises Unavailable when exports cannot be kept."""
        try:
            await self.service.start()
        except OSError as error:
            raise Unavailable(
                f"exports cannot be kept: {error.strerror or error}; check the disk of data_dir"
            ) from error

    async def stop(self) -> None:
        """What is being made is begun anew at the next start."""
        await self.service.stop()
        await self._library.stop()

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        waiting = self.service.exports.waiting
        if waiting:
            status.detail = f"makes exports: {waiting} to go" if waiting > 1 else "makes an export"

    def _changed(self) -> None:
        self.on_change()  # which whoever runs the role replaces

    def _may_keep(self, segment: Segment) -> bool:
        """Whether pictures of a recording may lie on disk as they are: not of a volume that has keys."""
        return not any(segment.path.is_relative_to(volume) for volume in self._encrypted)
