from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CameraSpec(_message.Message):
    __slots__ = ("site", "id", "name", "sealed_source", "transport", "record", "retention_s", "managed_by", "revision", "node", "worker", "deleted", "policy_json", "sealed_sub_source")
    SITE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SEALED_SOURCE_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    RETENTION_S_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    SEALED_SUB_SOURCE_FIELD_NUMBER: _ClassVar[int]
    site: str
    id: str
    name: str
    sealed_source: bytes
    transport: str
    record: str
    retention_s: float
    managed_by: str
    revision: int
    node: str
    worker: str
    deleted: bool
    policy_json: str
    sealed_sub_source: bytes
    def __init__(self, site: _Optional[str] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., sealed_source: _Optional[bytes] = ..., transport: _Optional[str] = ..., record: _Optional[str] = ..., retention_s: _Optional[float] = ..., managed_by: _Optional[str] = ..., revision: _Optional[int] = ..., node: _Optional[str] = ..., worker: _Optional[str] = ..., deleted: _Optional[bool] = ..., policy_json: _Optional[str] = ..., sealed_sub_source: _Optional[bytes] = ...) -> None: ...

class RegistryComplete(_message.Message):
    __slots__ = ("revision", "cameras")
    class CamerasEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    cameras: _containers.ScalarMap[str, int]
    def __init__(self, revision: _Optional[int] = ..., cameras: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Applied(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class MediaSnapshot(_message.Message):
    __slots__ = ("worker", "cameras", "written_ns")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_NS_FIELD_NUMBER: _ClassVar[int]
    worker: str
    cameras: _containers.RepeatedCompositeFieldContainer[CameraSpec]
    written_ns: int
    def __init__(self, worker: _Optional[str] = ..., cameras: _Optional[_Iterable[_Union[CameraSpec, _Mapping]]] = ..., written_ns: _Optional[int] = ...) -> None: ...

class Track(_message.Message):
    __slots__ = ("id", "codec", "clock_rate", "parameter_sets", "version", "width", "height", "max_reorder", "sample_rate", "channels")
    ID_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    CLOCK_RATE_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_SETS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_REORDER_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    id: int
    codec: str
    clock_rate: int
    parameter_sets: _containers.RepeatedScalarFieldContainer[bytes]
    version: int
    width: int
    height: int
    max_reorder: int
    sample_rate: int
    channels: int
    def __init__(self, id: _Optional[int] = ..., codec: _Optional[str] = ..., clock_rate: _Optional[int] = ..., parameter_sets: _Optional[_Iterable[bytes]] = ..., version: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., max_reorder: _Optional[int] = ..., sample_rate: _Optional[int] = ..., channels: _Optional[int] = ...) -> None: ...

class CameraStatus(_message.Message):
    __slots__ = ("camera_id", "state", "reason", "reason_code", "tracks", "reorders", "fps", "bitrate", "last_frame_ns", "clock_offset_ms", "recording", "recording_error", "revision", "recording_state", "sub")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    REORDERS_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    LAST_FRAME_NS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_OFFSET_MS_FIELD_NUMBER: _ClassVar[int]
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    RECORDING_ERROR_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RECORDING_STATE_FIELD_NUMBER: _ClassVar[int]
    SUB_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    state: str
    reason: str
    reason_code: str
    tracks: _containers.RepeatedCompositeFieldContainer[Track]
    reorders: bool
    fps: float
    bitrate: int
    last_frame_ns: int
    clock_offset_ms: float
    recording: bool
    recording_error: str
    revision: int
    recording_state: str
    sub: CameraStatus
    def __init__(self, camera_id: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., reason_code: _Optional[str] = ..., tracks: _Optional[_Iterable[_Union[Track, _Mapping]]] = ..., reorders: _Optional[bool] = ..., fps: _Optional[float] = ..., bitrate: _Optional[int] = ..., last_frame_ns: _Optional[int] = ..., clock_offset_ms: _Optional[float] = ..., recording: _Optional[bool] = ..., recording_error: _Optional[str] = ..., revision: _Optional[int] = ..., recording_state: _Optional[str] = ..., sub: _Optional[_Union[CameraStatus, _Mapping]] = ...) -> None: ...

class CreateCamera(_message.Message):
    __slots__ = ("camera_json", "sealed_source", "sealed_sub_source")
    CAMERA_JSON_FIELD_NUMBER: _ClassVar[int]
    SEALED_SOURCE_FIELD_NUMBER: _ClassVar[int]
    SEALED_SUB_SOURCE_FIELD_NUMBER: _ClassVar[int]
    camera_json: bytes
    sealed_source: bytes
    sealed_sub_source: bytes
    def __init__(self, camera_json: _Optional[bytes] = ..., sealed_source: _Optional[bytes] = ..., sealed_sub_source: _Optional[bytes] = ...) -> None: ...

class UpdateCamera(_message.Message):
    __slots__ = ("camera_id", "changes_json", "sealed_source", "sealed_sub_source")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGES_JSON_FIELD_NUMBER: _ClassVar[int]
    SEALED_SOURCE_FIELD_NUMBER: _ClassVar[int]
    SEALED_SUB_SOURCE_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    changes_json: bytes
    sealed_source: bytes
    sealed_sub_source: bytes
    def __init__(self, camera_id: _Optional[str] = ..., changes_json: _Optional[bytes] = ..., sealed_source: _Optional[bytes] = ..., sealed_sub_source: _Optional[bytes] = ...) -> None: ...

class DeleteCamera(_message.Message):
    __slots__ = ("camera_id",)
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    def __init__(self, camera_id: _Optional[str] = ...) -> None: ...
