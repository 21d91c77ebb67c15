"""SRT: callers, listeners elsewhere, encoders."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from vms.common.ids import CAMERA_ID_PATTERN
from vms.common.quantities import DurationSeconds, between
from vms.common.srt_url import SrtUrl
from vms.config.section import Section


class SrtPushConfig(Section):
    """A stream that is sent to a SRT listener elsewhere, for as long as the system runs."""

    camera: Annotated[str, Field(pattern=CAMERA_ID_PATTERN, description="its id")]
    stream: Annotated[Literal["main", "sub", "compat"], Field(description="compat: transcoded to H.264")] = (
        "main"
    )
    url: Annotated[SecretStr, Field(description="srt://host:port?streamid=…&latency=120 (milliseconds)")]
    passphrase_file: Annotated[
        Path | None, Field(description="a file that holds the passphrase; none sends unencrypted")
    ] = None

    @field_validator("url")
    @classmethod
    def _is_a_srt_url(cls, url: SecretStr) -> SecretStr:
        SrtUrl.parse(url.get_secret_value())
        return url


class SrtConfig(Section):
    """Live streams by SRT: for callers, to listeners (`push`), and from encoders. Off unless it has something to do."""

    port: Annotated[
        int | None,
        Field(
            ge=0, le=65535, description="UDP port for callers; 0 takes any free one; none lets nobody call"
        ),
    ] = None
    host: Annotated[
        str | None,
        Field(description="address to listen on; default: that of `http`; not loopback: needs `passphrase`"),
    ] = None
    passphrase: Annotated[
        SecretStr | None,
        Field(
            min_length=10,
            max_length=79,
            description="that callers need; encrypts the media (AES); may be left out on loopback without `http.token`",
        ),
    ] = None
    publish_passphrase: Annotated[
        SecretStr | None,
        Field(
            min_length=10,
            max_length=79,
            description="that publishers need, so that who watches cannot send; default: `passphrase`",
        ),
    ] = None
    latency: Annotated[
        DurationSeconds,
        between(0.02, 30),
        Field(description="that lost packets have to come again; four times the round trip does"),
    ] = 0.12
    key_bits: Annotated[Literal[128, 192, 256], Field(description="of AES")] = 128
    max_viewers: Annotated[int, Field(ge=1, le=4000, description="callers at once")] = 500
    push: Annotated[
        tuple[SrtPushConfig, ...], Field(max_length=256, description="streams sent elsewhere")
    ] = ()
    enabled: Annotated[
        bool | None,
        Field(
            description="true: for srt:// cameras that are added later; default: when port, push or such a camera is set"
        ),
    ] = None

    @field_validator("passphrase", "publish_passphrase")
    @classmethod
    def _is_printable(cls, passphrase: SecretStr | None) -> SecretStr | None:
        if passphrase is not None and not re.fullmatch("[ -~]*", passphrase.get_secret_value()):
            raise ValueError("must be letters, digits and signs of ASCII")
        return passphrase
