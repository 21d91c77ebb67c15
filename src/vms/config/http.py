"""The API and the web app: where they are served, and to whom."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from vms.config.section import Section, is_loopback


class TlsConfig(Section):
    """The certificate with which the API, the web app and live view are served over TLS; a renewed one is read within a minute."""

    certificate: Annotated[
        Path, Field(description="PEM file: the server's certificate, then those that signed it")
    ]
    key: Annotated[Path, Field(description="PEM file: the private key, without a passphrase")]


class HttpConfig(Section):
    """Where the REST API and the web app are served."""

    host: Annotated[str, Field(description="address to listen on; anything but loopback needs `token`")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(ge=0, le=65535, description="TCP port; 0 takes any free one")] = 8080
    token: Annotated[
        SecretStr | None,
        Field(min_length=16, description="guards every route and media path; at least 16 characters"),
    ] = None
    tls: Annotated[
        TlsConfig | None, Field(description="serves HTTPS, and HTTP/2 for live video; none serves plain HTTP")
    ] = None

    @property
    def scheme(self) -> str:
        """How the addresses that this section serves begin."""
        return "https" if self.tls is not None else "http"

    @field_validator("token")
    @classmethod
    def _can_be_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch("[!-~]*", token.get_secret_value()):
            raise ValueError("must be letters, digits and signs of ASCII, without spaces (RFC 6750)")
        return token

    @model_validator(mode="after")
    def _refuse_an_open_door(self) -> Self:
        if not is_loopback(self.host) and self.token is None:
            raise ValueError(
                f"host {self.host} is reachable from other machines, so a token is needed: "
                "set http.token to at least 16 random characters, or host to 127.0.0.1"
            )
        return self
