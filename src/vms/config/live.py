"""Live view: WebRTC, RTSP, WebTransport, and transcoding for it."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, SecretStr, field_validator, model_validator

from vms.common.quantities import DurationSeconds, between
from vms.config.processes import ROLE_MAX
from vms.config.section import Section

_ICE_URL = re.compile(
    r"(?:stuns?:[A-Za-z0-9.:\[\]-]+|turns?:[A-Za-z0-9.:\[\]-]+(?:\?transport=(?:udp|tcp))?)"  # RFC 7064, RFC 7065
)


class IceServerConfig(Section):
    """A STUN or TURN server that viewers are told to use."""

    urls: Annotated[
        tuple[str, ...],
        Field(
            min_length=1, max_length=8, description="such as stun:stun.example.net or turn:turn.example.net"
        ),
    ]
    username: Annotated[str | None, Field(description="for TURN, with `credential`")] = None
    credential: Annotated[SecretStr | None, Field(description="the password of `username`")] = None
    secret: Annotated[
        SecretStr | None,
        Field(min_length=8, description="instead: shared with the TURN server (coturn: static-auth-secret)"),
    ] = None

    @field_validator("urls", mode="before")
    @classmethod
    def _one_or_many(cls, urls: object) -> object:
        return (urls,) if isinstance(urls, str) else urls

    @field_validator("urls")
    @classmethod
    def _are_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not _ICE_URL.fullmatch(url):
                raise ValueError(
                    f"{url!r} is no STUN or TURN URL; write one such as turn:turn.example.net:3478?transport=tcp"
                )
        return urls

    @field_validator("username", "credential", "secret")
    @classmethod
    def _can_be_in_a_header(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is not None and not re.fullmatch("[ -~]+", text):
            raise ValueError("must be letters, digits and signs of ASCII")
        return value

    @model_validator(mode="after")
    def _has_whole_credentials(self) -> Self:
        if (self.username is None) != (self.credential is None):
            raise ValueError("username and credential belong together; set both, or secret instead")
        if self.secret is not None and self.username is not None:
            raise ValueError(
                "secret makes the user names and passwords itself; remove username and credential"
            )
        needs = any(url.startswith("turn") for url in self.urls)
        if needs and self.secret is None and self.credential is None:
            raise ValueError("a TURN server needs username and credential, or the secret shared with it")
        return self


class WebRtcConfig(Section):
    """Where live viewers send and receive media."""

    port: Annotated[
        int, Field(ge=0, le=65535, description="UDP and TCP port for all viewers; 0 takes any free one")
    ] = 8189
    addresses: Annotated[
        tuple[str, ...], Field(description="extra addresses to offer to viewers, such as a public one")
    ] = ()
    ice_servers: Annotated[
        tuple[IceServerConfig, ...],
        Field(max_length=8, description="STUN and TURN servers that viewers are told to use"),
    ] = ()

    @field_validator("addresses")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            try:
                ip_address(address)
            except ValueError as error:
                raise ValueError(f"{address!r} is no IP address; write one such as 203.0.113.7") from error
        return addresses


class RtspConfig(Section):
    """Where live streams are served to RTSP players: ``rtsp://host:8554/CAMERA``."""

    host: Annotated[
        str | None, Field(description="address to listen on; default: that of `http`, with the same rules")
    ] = None
    port: Annotated[int, Field(ge=0, le=65535, description="TCP port; 0 takes any free one")] = 8554
    enabled: Annotated[bool, Field(description="false serves no players")] = True


def _check_streams(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= ROLE_MAX):
        return value
    raise ValueError(f"must be auto, or a whole number from 0 to {ROLE_MAX}")


class TranscodeConfig(Section):
    """Live streams that a viewer's browser cannot play are transcoded to H.264, where nothing else helps."""

    streams: Annotated[
        int | Literal["auto"],
        PlainValidator(
            _check_streams, json_schema_input_type=Annotated[int, Field(ge=0, le=ROLE_MAX)] | Literal["auto"]
        ),
        Field(description="how many cameras at once; auto: as many as the machine has cores; 0: none ever"),
    ] = "auto"
    max_height: Annotated[
        int, Field(ge=90, le=4320, description="pixels; taller pictures are made smaller")
    ] = 720
    bitrate: Annotated[int, Field(ge=50_000, le=50_000_000, description="bits a second, at most")] = 2_500_000
    encoder: Annotated[
        Literal["libx264", "h264_nvenc", "h264_qsv"],
        Field(description="where it cannot be used, libx264 does its work"),
    ] = "libx264"


class WebTransportConfig(Section):
    """Live video over QUIC, for browsers that have WebTransport. Experimental: off unless it has a port."""

    port: Annotated[
        int | None, Field(ge=0, le=65535, description="UDP port; 0 takes any free one; none serves nobody")
    ] = None
    max_viewers: Annotated[int, Field(ge=1, le=1000, description="at once; each costs some CPU")] = 32
    hold: Annotated[
        DurationSeconds,
        between(0.02, 10),
        Field(description="how long a picture may wait to be sent once a newer key picture is there"),
    ] = 0.25
