"""A camera as the API shows it: its configuration and its live state, put together."""

from vms.api.documents import CameraDocument
from vms.api.ports import Live, Ports, Recording, RegisteredCamera, StreamStatus
from vms.api.stream_views import SubStreamView, WebRtcView
from vms.common.camera import Camera, RecordMode
from vms.common.clock import rfc3339
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.quantities import format_duration


def camera_document(entry: RegisteredCamera, ports: Ports) -> CameraDocument:
    """`entry` with what the services say of it now. Sources are shown without credentials."""
    camera = entry.camera
    try:
        status: StreamStatus | None = ports.live_status.status(camera.id)
    except NotFound:  # just added, or its stream is being taken down
        status = None
    return CameraDocument.model_validate(
        {
            "id": camera.id,
            "name": camera.name,
            "source": camera.source.safe,
            "sub_source": camera.sub_source.safe if camera.sub_source is not None else None,
            "transport": camera.transport,
            "record": camera.record,
            "events": camera.events,
            "schedule": camera.schedule,
            "retention": format_duration(camera.retention),
            "retention_class": camera.retention_class,
            "limits": camera.limits,
            "managed_by": entry.managed_by,
            **_live(status),
            "sub": _sub(camera, ports),
            "recording": ports.recording.recording(camera.id),
            "recording_state": recording_state(camera, ports.recording),
            "recording_error": ports.recording.recording_error(camera.id),
            "viewers": ports.live.viewers(camera.id),
            "webrtc": _webrtc(camera.id, ports.live),
        }
    )


def recording_state(camera: Camera, recording: Recording) -> str:
    """recording, waiting_event, not_scheduled, off or failed; from what is known while its process says nothing."""
    if camera.record is RecordMode.OFF:
        return "off"
    said = recording.recording_state(camera.id)
    if said is not None:
        return said
    return "recording" if recording.recording(camera.id) else "failed"


def _webrtc(camera_id: CameraId, live: Live) -> WebRtcView:
    try:
        found = live.viewability(camera_id)
    except NotFound:
        return WebRtcView(playable=False, reason=None, detail="the camera is not being pulled")
    # That it is not live yet says nothing of WebRTC: the stream may turn out playable.
    lasting = None if found.reason == "not_live" else found.reason
    return WebRtcView.model_validate({"playable": found.playable, "reason": lasting, "detail": found.detail})


def _live(status: StreamStatus | None) -> dict[str, object]:
    if status is None:
        return {"state": "stopped"} | dict.fromkeys(_LIVE_FIELDS)
    facts = {name: getattr(status, name) for name in _LIVE_FIELDS if name != "last_frame_at"}
    if facts["fps"] is not None:
        facts["fps"] = round(facts["fps"], 2)
    last_ns = status.last_frame_ns
    return {"state": status.state, **facts, "last_frame_at": None if last_ns is None else rfc3339(last_ns)}


def _sub(camera: Camera, ports: Ports) -> SubStreamView | None:
    """None for a camera without a sub stream."""
    if camera.sub_source is None:
        return None
    status = ports.live_status.sub_status(camera.id)
    facts = _live(status)
    return SubStreamView.model_validate({name: facts[name] for name in SubStreamView.model_fields})


_LIVE_FIELDS = (
    "reason", "reason_code", "codec", "width", "height", "fps", "bitrate", "audio", "last_frame_at",
)  # fmt: skip
