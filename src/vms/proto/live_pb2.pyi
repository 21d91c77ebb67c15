from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Offer(_message.Message):
    __slots__ = ("camera_id", "sdp", "stream")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    SDP_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    sdp: str
    stream: str
    def __init__(self, camera_id: _Optional[str] = ..., sdp: _Optional[str] = ..., stream: _Optional[str] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("session_id", "sdp", "etag", "ufrag")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SDP_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UFRAG_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    sdp: str
    etag: str
    ufrag: str
    def __init__(self, session_id: _Optional[str] = ..., sdp: _Optional[str] = ..., etag: _Optional[str] = ..., ufrag: _Optional[str] = ...) -> None: ...

class SessionId(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("camera_id", "etag", "ufrag", "stream")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UFRAG_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    etag: str
    ufrag: str
    stream: str
    def __init__(self, camera_id: _Optional[str] = ..., etag: _Optional[str] = ..., ufrag: _Optional[str] = ..., stream: _Optional[str] = ...) -> None: ...

class Select(_message.Message):
    __slots__ = ("session_id", "stream")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    stream: str
    def __init__(self, session_id: _Optional[str] = ..., stream: _Optional[str] = ...) -> None: ...

class Restart(_message.Message):
    __slots__ = ("session_id", "ufrag")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    UFRAG_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    ufrag: str
    def __init__(self, session_id: _Optional[str] = ..., ufrag: _Optional[str] = ...) -> None: ...

class Restarted(_message.Message):
    __slots__ = ("session", "fragment")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    session: Session
    fragment: str
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ..., fragment: _Optional[str] = ...) -> None: ...

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PublishOffer(_message.Message):
    __slots__ = ("camera_id", "sdp", "take_over")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    SDP_FIELD_NUMBER: _ClassVar[int]
    TAKE_OVER_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    sdp: str
    take_over: bool
    def __init__(self, camera_id: _Optional[str] = ..., sdp: _Optional[str] = ..., take_over: _Optional[bool] = ...) -> None: ...
