from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Error(_message.Message):
    __slots__ = ("kind", "text", "reason")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Error.Kind]
        KIND_INVALID_INPUT: _ClassVar[Error.Kind]
        KIND_UNAVAILABLE: _ClassVar[Error.Kind]
        KIND_NOT_FOUND: _ClassVar[Error.Kind]
        KIND_CONFLICT: _ClassVar[Error.Kind]
    KIND_UNSPECIFIED: Error.Kind
    KIND_INVALID_INPUT: Error.Kind
    KIND_UNAVAILABLE: Error.Kind
    KIND_NOT_FOUND: Error.Kind
    KIND_CONFLICT: Error.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    kind: Error.Kind
    text: str
    reason: str
    def __init__(self, kind: _Optional[_Union[Error.Kind, str]] = ..., text: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("result", "error")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    result: bytes
    error: Error
    def __init__(self, result: _Optional[bytes] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class LocalFrame(_message.Message):
    __slots__ = ("id", "call", "reply")
    class Call(_message.Message):
        __slots__ = ("method", "argument")
        METHOD_FIELD_NUMBER: _ClassVar[int]
        ARGUMENT_FIELD_NUMBER: _ClassVar[int]
        method: str
        argument: bytes
        def __init__(self, method: _Optional[str] = ..., argument: _Optional[bytes] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    id: int
    call: LocalFrame.Call
    reply: Reply
    def __init__(self, id: _Optional[int] = ..., call: _Optional[_Union[LocalFrame.Call, _Mapping]] = ..., reply: _Optional[_Union[Reply, _Mapping]] = ...) -> None: ...
