"""A camera's address with its credentials, kept apart so that they cannot leak by accident."""

import re
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from vms.common.srt_url import SrtUrl

SCHEMES = ("rtsp", "srt", "whip")
PUBLISHED = "whip://publish"
"""A camera that is not pulled: somebody publishes its stream to us, by WHIP (RFC 9725) or SRT."""
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATH_VALUE = re.compile(r"=[^/]*")


class SourceUrl:
    """A source URL whose text never shows its credentials.

    `str()`, `repr()` and JSON give `safe`, the address without user information and with the values in its
    path and query hidden (some cameras take a password there). `reveal()` is the one way to the original.
    Raises ValueError for what is no source URL.
    """

    __slots__ = ("_text", "host", "password", "port", "safe", "scheme", "username")

    def __init__(self, text: str) -> None:
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError as error:
            raise ValueError("is no URL; write rtsp://user:password@host[:port]/path") from error
        if parts.scheme.lower() not in SCHEMES:
            raise ValueError(f"must begin with rtsp:// or srt://, or be {PUBLISHED}")
        if parts.scheme.lower() == "whip" and text.strip().lower() not in ("whip:", "whip://", PUBLISHED):
            raise ValueError(
                f"must be {PUBLISHED}: publishers show the token of the API, and need no address"
            )
        if parts.scheme.lower() == "whip":
            parts, text = urlsplit(PUBLISHED), PUBLISHED
        if not parts.hostname:
            raise ValueError("names no host; write rtsp://user:password@host[:port]/path")
        if parts.scheme.lower() == "srt":
            SrtUrl.parse(text)
        _refuse_ambiguity(text.strip(), parts)
        self._text = text.strip()
        self.scheme = parts.scheme.lower()
        self.host = parts.hostname
        self.port = port or 554
        self.username = unquote(parts.username) if parts.username is not None else None
        self.password = unquote(parts.password) if parts.password is not None else None
        self.safe = _without_secrets(text.strip())

    def reveal(self) -> str:
        """The whole URL, credentials included; for the wire and for the encrypted database only."""
        return self._text

    def without_userinfo(self) -> str:
        """The URL to put in a request line: no user information, query as it is."""
        parts = urlsplit(self._text)
        return urlunsplit(parts._replace(netloc=_host_and_port(parts.netloc)))

    def __str__(self) -> str:
        return self.safe

    def __repr__(self) -> str:
        return f"SourceUrl({self.safe!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceUrl) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, SourceUrl) else cls(_require_text(value)),
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "format": "uri", "examples": ["rtsp://user:secret@192.0.2.10/stream1"]}


def with_credentials(safe_url: str, username: str, password: str) -> SourceUrl:
    """`safe_url` with the given credentials put in."""
    parts = urlsplit(safe_url)
    userinfo = f"{quote(username, safe='')}:{quote(password, safe='')}@"
    return SourceUrl(urlunsplit(parts._replace(netloc=userinfo + _host_and_port(parts.netloc))))


def _require_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text: rtsp://user:password@host[:port]/path")
    return value


def _refuse_ambiguity(text: str, parts: SplitResult) -> None:
    """Raise ValueError where a part of the credentials may have been taken for something that is shown."""
    if _NOT_IN_A_URL.search(text):
        raise ValueError("holds a space or a control character; write a space as %20")
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(
            "holds an @ behind the host; in a user name or password write / as %2F, ? as %3F, # as %23"
        )
    if _CONTROL.search(unquote(parts.netloc)):
        raise ValueError("holds a control character in the user name or password")


def _host_and_port(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def _without_secrets(text: str) -> str:
    parts = urlsplit(text)
    query = (
        "&".join(f"{name.partition('=')[0]}=…" if "=" in name else "…" for name in parts.query.split("&"))
        if parts.query
        else ""
    )
    path = _PATH_VALUE.sub("=…", parts.path)
    return urlunsplit(
        parts._replace(netloc=_host_and_port(parts.netloc), path=path, query=query, fragment="")
    )
