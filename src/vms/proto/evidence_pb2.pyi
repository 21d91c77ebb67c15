from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EvidenceLock(_message.Message):
    __slots__ = ("id", "camera_id", "start_ns", "end_ns", "reason", "created_by", "created_ns", "released_ns", "released_by", "release_reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_NS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_NS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_BY_FIELD_NUMBER: _ClassVar[int]
    RELEASE_REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    camera_id: str
    start_ns: int
    end_ns: int
    reason: str
    created_by: str
    created_ns: int
    released_ns: int
    released_by: str
    release_reason: str
    def __init__(self, id: _Optional[str] = ..., camera_id: _Optional[str] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., reason: _Optional[str] = ..., created_by: _Optional[str] = ..., created_ns: _Optional[int] = ..., released_ns: _Optional[int] = ..., released_by: _Optional[str] = ..., release_reason: _Optional[str] = ...) -> None: ...

class VolumeHold(_message.Message):
    __slots__ = ("volume", "holds", "detail")
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    volume: str
    holds: bool
    detail: str
    def __init__(self, volume: _Optional[str] = ..., holds: _Optional[bool] = ..., detail: _Optional[str] = ...) -> None: ...

class LockReport(_message.Message):
    __slots__ = ("lock", "volumes")
    LOCK_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    lock: EvidenceLock
    volumes: _containers.RepeatedCompositeFieldContainer[VolumeHold]
    def __init__(self, lock: _Optional[_Union[EvidenceLock, _Mapping]] = ..., volumes: _Optional[_Iterable[_Union[VolumeHold, _Mapping]]] = ...) -> None: ...

class CreateLock(_message.Message):
    __slots__ = ("camera_id", "start_ns", "end_ns", "reason", "created_by", "id")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    start_ns: int
    end_ns: int
    reason: str
    created_by: str
    id: str
    def __init__(self, camera_id: _Optional[str] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., reason: _Optional[str] = ..., created_by: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class ReleaseLock(_message.Message):
    __slots__ = ("id", "released_by", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    RELEASED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    released_by: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., released_by: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class LockId(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class Place(_message.Message):
    __slots__ = ("time_ns", "id")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    id: str
    def __init__(self, time_ns: _Optional[int] = ..., id: _Optional[str] = ...) -> None: ...

class LockQuery(_message.Message):
    __slots__ = ("camera_id", "include_released", "limit", "start_ns", "end_ns", "before")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_RELEASED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    include_released: bool
    limit: int
    start_ns: int
    end_ns: int
    before: Place
    def __init__(self, camera_id: _Optional[str] = ..., include_released: _Optional[bool] = ..., limit: _Optional[int] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., before: _Optional[_Union[Place, _Mapping]] = ...) -> None: ...

class LockPage(_message.Message):
    __slots__ = ("locks", "more")
    LOCKS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    locks: _containers.RepeatedCompositeFieldContainer[LockReport]
    more: bool
    def __init__(self, locks: _Optional[_Iterable[_Union[LockReport, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class Bookmark(_message.Message):
    __slots__ = ("id", "camera_id", "start_ns", "end_ns", "title", "note", "created_by", "created_ns", "updated_ns")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_NS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_NS_FIELD_NUMBER: _ClassVar[int]
    id: str
    camera_id: str
    start_ns: int
    end_ns: int
    title: str
    note: str
    created_by: str
    created_ns: int
    updated_ns: int
    def __init__(self, id: _Optional[str] = ..., camera_id: _Optional[str] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., title: _Optional[str] = ..., note: _Optional[str] = ..., created_by: _Optional[str] = ..., created_ns: _Optional[int] = ..., updated_ns: _Optional[int] = ...) -> None: ...

class CreateBookmark(_message.Message):
    __slots__ = ("camera_id", "start_ns", "end_ns", "title", "note", "created_by")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    start_ns: int
    end_ns: int
    title: str
    note: str
    created_by: str
    def __init__(self, camera_id: _Optional[str] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., title: _Optional[str] = ..., note: _Optional[str] = ..., created_by: _Optional[str] = ...) -> None: ...

class ChangeBookmark(_message.Message):
    __slots__ = ("id", "start_ns", "end_ns", "title", "note")
    ID_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    id: str
    start_ns: int
    end_ns: int
    title: str
    note: str
    def __init__(self, id: _Optional[str] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., title: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class BookmarkId(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class BookmarkQuery(_message.Message):
    __slots__ = ("camera_id", "start_ns", "end_ns", "text", "limit", "before")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    start_ns: int
    end_ns: int
    text: str
    limit: int
    before: Place
    def __init__(self, camera_id: _Optional[str] = ..., start_ns: _Optional[int] = ..., end_ns: _Optional[int] = ..., text: _Optional[str] = ..., limit: _Optional[int] = ..., before: _Optional[_Union[Place, _Mapping]] = ...) -> None: ...

class BookmarkPage(_message.Message):
    __slots__ = ("bookmarks", "more")
    BOOKMARKS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    bookmarks: _containers.RepeatedCompositeFieldContainer[Bookmark]
    more: bool
    def __init__(self, bookmarks: _Optional[_Iterable[_Union[Bookmark, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
