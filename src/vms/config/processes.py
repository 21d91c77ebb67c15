"""How many processes there are, and what they talk over."""

import re
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, SecretStr, field_validator

from vms.config.section import Section

ROLE_MAX = 64


def _check_count(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= ROLE_MAX):
        return value
    raise ValueError(f"must be auto, or a whole number from 1 to {ROLE_MAX}")


RoleCount = Annotated[
    int | Literal["auto"],
    PlainValidator(
        _check_count, json_schema_input_type=Annotated[int, Field(ge=1, le=ROLE_MAX)] | Literal["auto"]
    ),
]


class RolesConfig(Section):
    """How many processes of each role; `auto` follows the cores of the machine."""

    media: Annotated[RoleCount, Field(description="pull and record cameras")] = "auto"
    stream: Annotated[RoleCount, Field(description="serve viewers")] = "auto"
    api: Annotated[RoleCount, Field(description="answer HTTP")] = 1


class BusConfig(Section):
    """The message bus. Without a `url` the system runs a server of its own, on loopback."""

    url: Annotated[
        SecretStr | None,
        Field(description="nats://user:password@host:4222 of a server that is run elsewhere"),
    ] = None

    @field_validator("url")
    @classmethod
    def _is_a_nats_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not re.fullmatch(r"(nats|tls)://[^\s/]+", url.get_secret_value().rstrip("/")):
            raise ValueError("must be nats://[user:password@]host[:port]")
        return url
