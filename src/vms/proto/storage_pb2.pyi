from vms.proto import evidence_pb2 as _evidence_pb2
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

class RetentionRule(_message.Message):
    __slots__ = ("age_ns", "event_age_ns", "minimum_ns", "maximum_ns", "size_bytes")
    AGE_NS_FIELD_NUMBER: _ClassVar[int]
    EVENT_AGE_NS_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_NS_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_NS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    age_ns: int
    event_age_ns: int
    minimum_ns: int
    maximum_ns: int
    size_bytes: int
    def __init__(self, age_ns: _Optional[int] = ..., event_age_ns: _Optional[int] = ..., minimum_ns: _Optional[int] = ..., maximum_ns: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class Retentions(_message.Message):
    __slots__ = ("retention_ns", "rules")
    class RetentionNsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class RulesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: RetentionRule
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[RetentionRule, _Mapping]] = ...) -> None: ...
    RETENTION_NS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    retention_ns: _containers.ScalarMap[str, int]
    rules: _containers.MessageMap[str, RetentionRule]
    def __init__(self, retention_ns: _Optional[_Mapping[str, int]] = ..., rules: _Optional[_Mapping[str, RetentionRule]] = ...) -> None: ...

class EventRange(_message.Message):
    __slots__ = ("camera_id", "start_ns", "end_ns", "kind")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    start_ns: int
    end_ns: int
    kind: str
    def __init__(self, camera_id: _Optional[str] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., kind: _Optional[str] = ...) -> None: ...

class EventRanges(_message.Message):
    __slots__ = ("ranges",)
    RANGES_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[EventRange]
    def __init__(self, ranges: _Optional[_Iterable[_Union[EventRange, _Mapping]]] = ...) -> None: ...

class VolumeLocks(_message.Message):
    __slots__ = ("locks", "revision")
    LOCKS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    locks: _containers.RepeatedCompositeFieldContainer[_evidence_pb2.EvidenceLock]
    revision: int
    def __init__(self, locks: _Optional[_Iterable[_Union[_evidence_pb2.EvidenceLock, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class PreviousFile(_message.Message):
    __slots__ = ("segment_id", "chain_digest")
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    CHAIN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    segment_id: bytes
    chain_digest: bytes
    def __init__(self, segment_id: _Optional[bytes] = ..., chain_digest: _Optional[bytes] = ...) -> None: ...

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
    __slots__ = ("last_end_ns", "lasting", "resumed_ns", "last_file")
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
    class LastFileEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PreviousFile
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PreviousFile, _Mapping]] = ...) -> None: ...
    LAST_END_NS_FIELD_NUMBER: _ClassVar[int]
    LASTING_FIELD_NUMBER: _ClassVar[int]
    RESUMED_NS_FIELD_NUMBER: _ClassVar[int]
    LAST_FILE_FIELD_NUMBER: _ClassVar[int]
    last_end_ns: _containers.ScalarMap[str, int]
    lasting: _containers.RepeatedCompositeFieldContainer[Gap]
    resumed_ns: _containers.ScalarMap[str, int]
    last_file: _containers.MessageMap[str, PreviousFile]
    def __init__(self, last_end_ns: _Optional[_Mapping[str, int]] = ..., lasting: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., resumed_ns: _Optional[_Mapping[str, int]] = ..., last_file: _Optional[_Mapping[str, PreviousFile]] = ...) -> None: ...

class MediaReport(_message.Message):
    __slots__ = ("worker", "open_bytes", "written_bytes", "error", "stalled")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    OPEN_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_BYTES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    STALLED_FIELD_NUMBER: _ClassVar[int]
    worker: str
    open_bytes: int
    written_bytes: int
    error: str
    stalled: bool
    def __init__(self, worker: _Optional[str] = ..., open_bytes: _Optional[int] = ..., written_bytes: _Optional[int] = ..., error: _Optional[str] = ..., stalled: _Optional[bool] = ...) -> None: ...

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

class TierState(_message.Message):
    __slots__ = ("name", "kind", "used_bytes", "quota_bytes", "error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUOTA_BYTES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    used_bytes: int
    quota_bytes: int
    error: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., used_bytes: _Optional[int] = ..., quota_bytes: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class KeeperState(_message.Message):
    __slots__ = ("path", "volume_id", "error", "used_bytes", "quota_bytes", "room_bytes", "recovered", "encrypted", "tiers", "locked_bytes", "found", "alarms")
    class FoundEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    PATH_FIELD_NUMBER: _ClassVar[int]
    VOLUME_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUOTA_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROOM_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    LOCKED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    path: str
    volume_id: bytes
    error: str
    used_bytes: int
    quota_bytes: int
    room_bytes: int
    recovered: bool
    encrypted: bool
    tiers: _containers.RepeatedCompositeFieldContainer[TierState]
    locked_bytes: int
    found: _containers.ScalarMap[str, int]
    alarms: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, path: _Optional[str] = ..., volume_id: _Optional[bytes] = ..., error: _Optional[str] = ..., used_bytes: _Optional[int] = ..., quota_bytes: _Optional[int] = ..., room_bytes: _Optional[int] = ..., recovered: _Optional[bool] = ..., encrypted: _Optional[bool] = ..., tiers: _Optional[_Iterable[_Union[TierState, _Mapping]]] = ..., locked_bytes: _Optional[int] = ..., found: _Optional[_Mapping[str, int]] = ..., alarms: _Optional[_Iterable[str]] = ...) -> None: ...
