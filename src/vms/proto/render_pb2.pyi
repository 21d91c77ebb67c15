from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ThumbnailRequest(_message.Message):
    __slots__ = ("ticket", "camera_id", "at_ns", "width")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    AT_NS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    camera_id: str
    at_ns: int
    width: int
    def __init__(self, ticket: _Optional[str] = ..., camera_id: _Optional[str] = ..., at_ns: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class Thumbnail(_message.Message):
    __slots__ = ("jpeg", "at_ns")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    AT_NS_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    at_ns: int
    def __init__(self, jpeg: _Optional[bytes] = ..., at_ns: _Optional[int] = ...) -> None: ...

class StripRequest(_message.Message):
    __slots__ = ("ticket", "camera_id", "start_ns", "end_ns", "count", "width")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    camera_id: str
    start_ns: int
    end_ns: int
    count: int
    width: int
    def __init__(self, ticket: _Optional[str] = ..., camera_id: _Optional[str] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., count: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class Strip(_message.Message):
    __slots__ = ("jpeg", "at_ns", "columns", "width", "height")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    AT_NS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    at_ns: _containers.RepeatedScalarFieldContainer[int]
    columns: int
    width: int
    height: int
    def __init__(self, jpeg: _Optional[bytes] = ..., at_ns: _Optional[_Iterable[int]] = ..., columns: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Forget(_message.Message):
    __slots__ = ("ticket",)
    TICKET_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    def __init__(self, ticket: _Optional[str] = ...) -> None: ...

class ExportOrder(_message.Message):
    __slots__ = ("camera_ids", "start_ns", "end_ns", "exact", "burn_in", "time_zone", "archive", "title", "note", "asked_by", "names")
    class NamesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CAMERA_IDS_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    BURN_IN_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    ASKED_BY_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    camera_ids: _containers.RepeatedScalarFieldContainer[str]
    start_ns: int
    end_ns: int
    exact: bool
    burn_in: bool
    time_zone: str
    archive: bool
    title: str
    note: str
    asked_by: str
    names: _containers.ScalarMap[str, str]
    def __init__(self, camera_ids: _Optional[_Iterable[str]] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., exact: _Optional[bool] = ..., burn_in: _Optional[bool] = ..., time_zone: _Optional[str] = ..., archive: _Optional[bool] = ..., title: _Optional[str] = ..., note: _Optional[str] = ..., asked_by: _Optional[str] = ..., names: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ExportId(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ExportJob(_message.Message):
    __slots__ = ("id", "order", "state", "progress", "stage", "bytes", "error", "created_ns", "finished_ns", "expires_ns", "file_name", "verified")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATED_NS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_NS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_NS_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    id: str
    order: ExportOrder
    state: str
    progress: float
    stage: str
    bytes: int
    error: str
    created_ns: int
    finished_ns: int
    expires_ns: int
    file_name: str
    verified: bool
    def __init__(self, id: _Optional[str] = ..., order: _Optional[_Union[ExportOrder, _Mapping]] = ..., state: _Optional[str] = ..., progress: _Optional[float] = ..., stage: _Optional[str] = ..., bytes: _Optional[int] = ..., error: _Optional[str] = ..., created_ns: _Optional[int] = ..., finished_ns: _Optional[int] = ..., expires_ns: _Optional[int] = ..., file_name: _Optional[str] = ..., verified: _Optional[bool] = ...) -> None: ...

class ExportJobs(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[ExportJob]
    def __init__(self, jobs: _Optional[_Iterable[_Union[ExportJob, _Mapping]]] = ...) -> None: ...
