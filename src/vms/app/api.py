"""The api role: HTTP for browsers and programs. It reads recordings from the volumes by itself."""

import socket
from collections.abc import Callable, Mapping, Sequence

from vms.api.ice_servers import ice_servers
from vms.api.ports import HubLease, Machine, Ports, Registry, Site
from vms.api.service import ApiService
from vms.app.certificate import CertificateWatch
from vms.app.directory import Directory
from vms.app.events import EventTeller
from vms.app.live_options import Ladders
from vms.app.publish import RemotePublishing
from vms.app.remote import RemoteLive, RemoteStreams
from vms.app.render_client import RenderExports, RenderThumbnails
from vms.app.revocations import SharedRevocations
from vms.app.role import Around, Method, OnChange, nobody_told
from vms.app.volumes import KeptVolumes
from vms.common.ids import CameraId
from vms.evidence.trust import Trust
from vms.gateway.client import RegistryClient
from vms.gateway.evidence_client import BookmarkClient, LockClient
from vms.gateway.journal import JournalReader
from vms.proto import worker_pb2
from vms.storage.keeping import Keeping
from vms.storage.library import RecordingLibrary
from vms.storage.playback import Playback, RecordingVerifier
from vms.storage.render.export_keys import ExportKeys
from vms.storage.render.values import Rendering
from vms.telemetry.metrics import MetricSource


class ApiRole:
    """registry and directory: followed and stopped by whoever made them. lease: hubs for live pictures.

    keepers: of the configured volumes, in their order. rendering: of this machine.
    session_secret, url_secret: 32 bytes of the installation each. listener: shared by all api processes; None makes one.
    """

    def __init__(
        self,
        around: Around,
        *,
        registry: RegistryClient,
        directory: Directory,
        lease: Callable[[CameraId], HubLease],
        machine: Machine,
        keepers: Sequence[Keeping],
        rendering: Rendering,
        session_secret: bytes,
        url_secret: bytes,
        listener: socket.socket | None = None,
        before: Sequence[MetricSource] = (),
    ) -> None:
        self.on_change: OnChange = nobody_told
        config, worker, clock = around.config, around.worker, around.clock
        self.library = RecordingLibrary(config.volumes(), clock)
        self.playback = Playback(self.library)
        self.verifier = RecordingVerifier(self.library, lambda: Trust.of_data_dir(config.data_dir))
        self._registry = registry
        self._ready = False
        streams = RemoteStreams(registry, directory)
        entries: Registry = registry
        self._events = EventTeller(around.places.outbox(worker), worker, around.bus, clock)
        live = RemoteLive(around.bus, streams, directory)
        ports = Ports(
            registry=entries,
            live_status=streams,
            recording=streams,
            playback=self.playback,
            live=live,
            publishing=RemotePublishing(around.bus, registry, directory),
            lease=lease,
            machine=machine,
            events=JournalReader(around.places.journal),
            clock=clock,
            ready=lambda: self._ready and registry.loaded,
            worker=worker,
            metrics=(self.playback, self._events, *before),
            verifier=self.verifier,
            coverage=self.library,
            thumbnails=RenderThumbnails(rendering),
            exports=RenderExports(
                rendering, config.data_dir, ExportKeys(config.volumes()), lambda: _names(registry)
            ),
            tell_event=self._events,
            locks=LockClient(around.bus),
            bookmarks=BookmarkClient(around.bus),
            volumes=KeptVolumes(config.volumes(), keepers, clock),
            site=Site(config.site.name, config.site.time_zone),
            retention_classes=frozenset(config.storage.classes),
            ice_servers=lambda: ice_servers(config.webrtc, clock),
            live_options=Ladders(config, live, streams, url_secret, clock),
        )
        self.service = ApiService(config.http, ports, session_secret, listener)
        self._revocations = SharedRevocations(around.bus, self.service.authenticator)
        self._tls = config.http.tls
        self._watch: CertificateWatch | None = None

    @property
    def sources(self) -> Sequence[MetricSource]:
        return self.service.sources

    @property
    def methods(self) -> Mapping[str, Method]:
        return {}

    async def start(self) -> None:
        """Raises AddressUnavailable."""
        await self._revocations.start()
        await self._events.start()
        await self.service.start()
        context = self.service.tls_context
        if self._tls is not None and context is not None:
            self._watch = CertificateWatch(self._tls, context)
            await self._watch.start()
        self._ready = True

    async def stop(self) -> None:
        """Answer what was begun, then close."""
        self._ready = False
        if self._watch is not None:
            await self._watch.stop()
        await self.service.stop()
        await self._events.stop()
        await self._revocations.stop()
        await self.verifier.stop()
        await self.playback.stop()
        await self.library.stop()

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        if not self._registry.loaded:
            status.ready = False
            status.detail = "has not heard yet which cameras there are"


async def _names(registry: RegistryClient) -> Mapping[CameraId, str]:
    return {each.camera.id: each.camera.name for each in await registry.list()}
