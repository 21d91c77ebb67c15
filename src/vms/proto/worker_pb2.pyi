from vms.proto import camera_pb2 as _camera_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerStatus(_message.Message):
    __slots__ = ("worker", "role", "node", "pid", "started_ns", "ready", "loop_lag_s", "cameras", "viewers", "sessions", "relay", "bus_connected", "cpu_share", "detail", "http_port")
    class ViewersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    WORKER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STARTED_NS_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    LOOP_LAG_S_FIELD_NUMBER: _ClassVar[int]
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    VIEWERS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    RELAY_FIELD_NUMBER: _ClassVar[int]
    BUS_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    CPU_SHARE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    HTTP_PORT_FIELD_NUMBER: _ClassVar[int]
    worker: str
    role: str
    node: str
    pid: int
    started_ns: int
    ready: bool
    loop_lag_s: float
    cameras: _containers.RepeatedCompositeFieldContainer[_camera_pb2.CameraStatus]
    viewers: _containers.ScalarMap[str, int]
    sessions: int
    relay: str
    bus_connected: bool
    cpu_share: float
    detail: str
    http_port: int
    def __init__(self, worker: _Optional[str] = ..., role: _Optional[str] = ..., node: _Optional[str] = ..., pid: _Optional[int] = ..., started_ns: _Optional[int] = ..., ready: _Optional[bool] = ..., loop_lag_s: _Optional[float] = ..., cameras: _Optional[_Iterable[_Union[_camera_pb2.CameraStatus, _Mapping]]] = ..., viewers: _Optional[_Mapping[str, int]] = ..., sessions: _Optional[int] = ..., relay: _Optional[str] = ..., bus_connected: _Optional[bool] = ..., cpu_share: _Optional[float] = ..., detail: _Optional[str] = ..., http_port: _Optional[int] = ...) -> None: ...

class ProcessStatus(_message.Message):
    __slots__ = ("role", "worker", "pid", "state", "cameras", "viewers", "cpu_percent", "memory_bytes", "loop_lag_ms", "restarts", "uptime_s", "detail", "memory_shared_once_bytes")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    VIEWERS_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOOP_LAG_MS_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_SHARED_ONCE_BYTES_FIELD_NUMBER: _ClassVar[int]
    role: str
    worker: str
    pid: int
    state: str
    cameras: int
    viewers: int
    cpu_percent: float
    memory_bytes: int
    loop_lag_ms: float
    restarts: int
    uptime_s: float
    detail: str
    memory_shared_once_bytes: int
    def __init__(self, role: _Optional[str] = ..., worker: _Optional[str] = ..., pid: _Optional[int] = ..., state: _Optional[str] = ..., cameras: _Optional[int] = ..., viewers: _Optional[int] = ..., cpu_percent: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., loop_lag_ms: _Optional[float] = ..., restarts: _Optional[int] = ..., uptime_s: _Optional[float] = ..., detail: _Optional[str] = ..., memory_shared_once_bytes: _Optional[int] = ...) -> None: ...

class ProcessList(_message.Message):
    __slots__ = ("processes",)
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    processes: _containers.RepeatedCompositeFieldContainer[ProcessStatus]
    def __init__(self, processes: _Optional[_Iterable[_Union[ProcessStatus, _Mapping]]] = ...) -> None: ...

class Restart(_message.Message):
    __slots__ = ("target",)
    TARGET_FIELD_NUMBER: _ClassVar[int]
    target: str
    def __init__(self, target: _Optional[str] = ...) -> None: ...

class Restarted(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, workers: _Optional[_Iterable[str]] = ...) -> None: ...

class MetricSample(_message.Message):
    __slots__ = ("labels", "value")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    value: float
    def __init__(self, labels: _Optional[_Iterable[str]] = ..., value: _Optional[float] = ...) -> None: ...

class MetricFamily(_message.Message):
    __slots__ = ("name", "kind", "help", "labels", "samples")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    HELP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    help: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    samples: _containers.RepeatedCompositeFieldContainer[MetricSample]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., help: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., samples: _Optional[_Iterable[_Union[MetricSample, _Mapping]]] = ...) -> None: ...

class Metrics(_message.Message):
    __slots__ = ("role", "worker", "families")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    FAMILIES_FIELD_NUMBER: _ClassVar[int]
    role: str
    worker: str
    families: _containers.RepeatedCompositeFieldContainer[MetricFamily]
    def __init__(self, role: _Optional[str] = ..., worker: _Optional[str] = ..., families: _Optional[_Iterable[_Union[MetricFamily, _Mapping]]] = ...) -> None: ...

class SystemInfo(_message.Message):
    __slots__ = ("url", "rtsp_url", "ready")
    URL_FIELD_NUMBER: _ClassVar[int]
    RTSP_URL_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    url: str
    rtsp_url: str
    ready: bool
    def __init__(self, url: _Optional[str] = ..., rtsp_url: _Optional[str] = ..., ready: _Optional[bool] = ...) -> None: ...
