from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Offer(_message.Message):
    __slots__ = ("camera_id", "sdp")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    SDP_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    sdp: str
    def __init__(self, camera_id: _Optional[str] = ..., sdp: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("camera_id", "etag", "ufrag")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UFRAG_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    etag: str
    ufrag: str
    def __init__(self, camera_id: _Optional[str] = ..., etag: _Optional[str] = ..., ufrag: _Optional[str] = ...) -> None: ...

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
