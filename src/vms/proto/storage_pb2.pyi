from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Paths(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class Settled(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("camera_id", "start_ns", "end_ns", "reason", "detail")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    start_ns: int
    end_ns: int
    reason: str
    detail: str
    def __init__(self, camera_id: _Optional[str] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Gaps(_message.Message):
    __slots__ = ("gaps",)
    GAPS_FIELD_NUMBER: _ClassVar[int]
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    def __init__(self, gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ...) -> None: ...

class Retentions(_message.Message):
    __slots__ = ("retention_ns",)
    class RetentionNsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    RETENTION_NS_FIELD_NUMBER: _ClassVar[int]
    retention_ns: _containers.ScalarMap[str, int]
    def __init__(self, retention_ns: _Optional[_Mapping[str, int]] = ...) -> None: ...

class HistoryRequest(_message.Message):
    __slots__ = ("before_ns", "since_ns")
    class BeforeNsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class SinceNsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    BEFORE_NS_FIELD_NUMBER: _ClassVar[int]
    SINCE_NS_FIELD_NUMBER: _ClassVar[int]
    before_ns: _containers.ScalarMap[str, int]
    since_ns: _containers.ScalarMap[str, int]
    def __init__(self, before_ns: _Optional[_Mapping[str, int]] = ..., since_ns: _Optional[_Mapping[str, int]] = ...) -> None: ...

class History(_message.Message):
    __slots__ = ("last_end_ns", "lasting", "resumed_ns")
    class LastEndNsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ResumedNsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LAST_END_NS_FIELD_NUMBER: _ClassVar[int]
    LASTING_FIELD_NUMBER: _ClassVar[int]
    RESUMED_NS_FIELD_NUMBER: _ClassVar[int]
    last_end_ns: _containers.ScalarMap[str, int]
    lasting: _containers.RepeatedCompositeFieldContainer[Gap]
    resumed_ns: _containers.ScalarMap[str, int]
    def __init__(self, last_end_ns: _Optional[_Mapping[str, int]] = ..., lasting: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., resumed_ns: _Optional[_Mapping[str, int]] = ...) -> None: ...

class MediaReport(_message.Message):
    __slots__ = ("worker", "open_bytes", "written_bytes", "error")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    OPEN_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_BYTES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    worker: str
    open_bytes: int
    written_bytes: int
    error: str
    def __init__(self, worker: _Optional[str] = ..., open_bytes: _Optional[int] = ..., written_bytes: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class VolumeState(_message.Message):
    __slots__ = ("error", "used_bytes", "quota_bytes", "recovered")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUOTA_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    error: str
    used_bytes: int
    quota_bytes: int
    recovered: bool
    def __init__(self, error: _Optional[str] = ..., used_bytes: _Optional[int] = ..., quota_bytes: _Optional[int] = ..., recovered: _Optional[bool] = ...) -> None: ...
