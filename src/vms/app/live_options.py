"""Implements the API's LiveOptions: the ladder of a camera with addresses and tokens.

Belongs here: which stream worker, which address. Does not: the order of the options (vms.stream.ladder).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from vms.app.convert import tracks_of
from vms.app.places import Places
from vms.app.remote import RemoteLive, RemoteStreams
from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.config import Config
from vms.stream.hls import hls_path
from vms.stream.http.token import LIFETIME_NS, WATCH, mint
from vms.stream.ladder import USUAL_SUPPORT, LiveProtocol, Offered, Option, ladder
from vms.stream.quic.address import WebTransportAt, webtransport_path
from vms.stream.srt.access import srt_url
from vms.stream.websocket.service import live_path

NO_WORKER = "no_worker"


@dataclass(frozen=True, slots=True)
class LiveOption:
    """An option with its address; None where it has none now. `repr` shows no token."""

    protocol: str
    stream: str
    url: str | None = field(repr=False)
    playable: bool
    reason: str | None
    detail: str
    mime_type: str | None
    transcoded: bool
    certificate_hashes: Sequence[str] = ()


class Ladders:
    """secret: of tokens in URLs."""

    def __init__(
        self, config: Config, live: RemoteLive, streams: RemoteStreams, secret: bytes, clock: Clock
    ) -> None:
        self._config = config
        self._live = live
        self._streams = streams
        self._secret = secret
        self._clock = clock

    def options(
        self, camera_id: CameraId, preferred: StreamName, supports: Collection[str], host: str
    ) -> Sequence[LiveOption]:
        """host: of this machine, as the viewer names it. Raises NotFound."""
        self._streams.status(camera_id)
        found = ladder(
            self._offered(camera_id),
            preferred,
            USUAL_SUPPORT | frozenset(supports),
            transcodes=self._config.transcode.streams != 0,
            webtransport=self._config.webtransport.port is not None,
            srt=bool(self._config.srt.port) and self._config.runs_srt,  # 0 is a port that nobody knows here
        )
        port = self._live.http_port(camera_id)
        token = mint(self._secret, camera_id, WATCH, self._clock.wall_ns() + LIFETIME_NS)
        return [
            self._addressed(camera_id, option, host, port, token) for option in found if self._serves(option)
        ]

    def _offered(self, camera_id: CameraId) -> Mapping[StreamName, Offered]:
        told = self._streams.told(camera_id)
        if told is None:
            return {StreamName.MAIN: Offered()}
        found = {StreamName.MAIN: Offered(tracks_of(told.tracks), told.reorders)}
        if told.HasField("sub"):
            found[StreamName.SUB] = Offered(tracks_of(told.sub.tracks), told.sub.reorders)
        return found

    def _serves(self, option: Option) -> bool:
        return option.protocol is not LiveProtocol.RTSP or self._config.rtsp.enabled

    def _addressed(
        self, camera_id: CameraId, option: Option, host: str, port: int | None, token: str
    ) -> LiveOption:
        authority = f"[{host}]" if ":" in host else host
        tls = self._config.http.tls is not None
        url: str | None
        match option.protocol:
            case LiveProtocol.WEBRTC:
                url = f"/api/v1/cameras/{camera_id}/whep?stream={option.stream}"
            case LiveProtocol.RTSP:
                url = f"rtsp://{authority}:{self._config.rtsp.port}/{camera_id}"
            case LiveProtocol.SRT:
                server = f"{authority}:{self._config.srt.port}"
                now_ns = self._clock.wall_ns()
                url = srt_url(self._secret, server, camera_id, option.stream, now_ns)
            case LiveProtocol.WEBSOCKET:
                url = f"{'wss' if tls else 'ws'}://{authority}:{port}{live_path(camera_id, option.stream, token)}"
            case LiveProtocol.WEBTRANSPORT:
                return self._over_quic(option, authority, webtransport_path(camera_id, option.stream, token))
            case LiveProtocol.HLS:
                url = f"{self._config.http.scheme}://{authority}:{port}{hls_path(camera_id, option.stream)}?token={token}"
        over_worker = option.protocol in (LiveProtocol.WEBSOCKET, LiveProtocol.HLS)
        lost = over_worker and port is None
        return LiveOption(
            option.protocol.value,
            option.stream.value,
            None if lost else url,
            option.playable and not lost,
            NO_WORKER if lost and option.playable else option.reason,
            "no process that serves live video answers now" if lost and option.playable else option.detail,
            option.mime_type,
            option.transcoded,
        )

    def _over_quic(self, option: Option, authority: str, path: str) -> LiveOption:
        path_of_it = Places(self._config.data_dir).webtransport
        at = WebTransportAt.load(path_of_it) if self._live.serves_webtransport() else None
        lost = at is None
        return LiveOption(
            option.protocol.value,
            option.stream.value,
            None if at is None else f"https://{authority}:{at.port}{path}",
            option.playable and not lost,
            NO_WORKER if lost and option.playable else option.reason,
            "experimental; no process serves it now" if lost and option.playable else option.detail,
            None,
            False,
            () if at is None else at.certificate_hashes,
        )
