"""The whole configuration, and what its sections ask of one another."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from vms.common.camera import Camera, TimeZone
from vms.config.http import HttpConfig
from vms.config.live import RtspConfig, TranscodeConfig, WebRtcConfig, WebTransportConfig
from vms.config.processes import BusConfig, RolesConfig
from vms.config.section import Section, is_loopback
from vms.config.srt import SrtConfig
from vms.config.storage import StorageConfig, VolumeConfig


class SiteConfig(Section):
    """The place that this system watches."""

    name: Annotated[str, Field(max_length=200, description="shown to people")] = ""
    time_zone: Annotated[
        TimeZone, Field(description="of schedules and reports, such as America/Sao_Paulo")
    ] = "UTC"


class Config(Section):
    """The whole configuration."""

    data_dir: Annotated[Path, Field(description="the database, keys and, by default, recordings")] = Path(
        "vms-data"
    )
    http: HttpConfig = HttpConfig()
    webrtc: WebRtcConfig = WebRtcConfig()
    rtsp: RtspConfig = RtspConfig()
    storage: StorageConfig = StorageConfig()
    site: SiteConfig = SiteConfig()
    roles: RolesConfig = RolesConfig()
    bus: BusConfig = BusConfig()
    transcode: TranscodeConfig = TranscodeConfig()
    webtransport: WebTransportConfig = WebTransportConfig()
    srt: SrtConfig = SrtConfig()
    cameras: Annotated[tuple[Camera, ...], Field(description="cameras that this file manages")] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        ids = [camera.id for camera in self.cameras]
        repeated = sorted({camera_id for camera_id in ids if ids.count(camera_id) > 1})
        if repeated:
            raise ValueError(
                f"cameras: the id {', '.join(repeated)} is used twice; every camera needs its own"
            )
        for camera in self.cameras:
            named = camera.retention_class
            if named is not None and named not in self.storage.classes:
                raise ValueError(
                    f"cameras: {camera.id} names the retention class {named}, and storage.classes has none of that name"
                )
        paths = [volume.path.absolute() for volume in self.storage.volumes]
        if len(paths) != len(set(paths)):
            raise ValueError("storage.volumes: two volumes have the same path; every volume needs its own")
        return self

    @model_validator(mode="after")
    def _refuse_an_open_rtsp_door(self) -> Self:
        if self.rtsp.enabled and not is_loopback(self.rtsp_host) and self.http.token is None:
            raise ValueError(
                f"rtsp.host {self.rtsp_host} is reachable from other machines, so a token is needed: "
                "set http.token to at least 16 random characters, or rtsp.host to 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _refuse_an_open_srt_door(self) -> Self:
        if self.srt.port is None or self.srt.passphrase is not None:
            return self
        if not is_loopback(self.srt_host):
            raise ValueError(
                f"srt.host {self.srt_host} is reachable from other machines, so a passphrase is needed: "
                "set srt.passphrase to 10 to 79 random characters, or srt.host to 127.0.0.1"
            )
        if self.http.token is not None:
            raise ValueError(
                "http.token is set, and srt.port would let in who does not have it: "
                "set srt.passphrase to 10 to 79 random characters"
            )
        return self

    @property
    def srt_host(self) -> str:
        """Where SRT callers are served."""
        return self.srt.host or self.http.host

    @property
    def runs_srt(self) -> bool:
        """Whether there is a process for SRT."""
        srt = self.srt
        if srt.enabled is not None:
            return srt.enabled
        called = any(camera.source.scheme == "srt" for camera in self.cameras)
        return srt.port is not None or bool(srt.push) or called

    @property
    def rtsp_host(self) -> str:
        """Where RTSP players are served."""
        return self.rtsp.host or self.http.host

    def volumes(self) -> tuple[VolumeConfig, ...]:
        """The configured volumes, or the default one inside the data directory."""
        return self.storage.volumes or (VolumeConfig(path=self.data_dir / "recordings"),)
