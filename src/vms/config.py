"""The configuration: one validated tree, read once from a YAML file.

Unknown keys are refused; every error names the path of its line and says what is allowed. `app`
hands each service its own section.
"""

import re
from collections.abc import Hashable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from vms.common.camera import (
    Camera,
    EventRecording,
    RetentionLimits,
    Schedule,
    ScheduleEntry,
    TimeZone,
)
from vms.common.errors import InvalidInput
from vms.common.ids import CAMERA_ID_PATTERN
from vms.common.quantities import DurationSeconds, SizeBytes, between, format_size

QUOTA_MIN_BYTES = 16 << 20
ROLE_MAX = 64
_BOOLEAN = "tag:yaml.org,2002:bool"


class ConfigError(InvalidInput):
    """The configuration cannot be used; the text lists every line that is wrong and what is allowed."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Section(BaseModel):
    """A part of the configuration: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


class WebRtcConfig(Section):
    """Where live viewers send and receive media."""

    port: Annotated[
        int, Field(ge=0, le=65535, description="UDP port for all viewers; 0 takes any free one")
    ] = 8189
    addresses: Annotated[
        tuple[str, ...], Field(description="extra addresses to offer to viewers, such as a public one")
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


class KeySource(Section):
    """Where a key of 32 bytes is read from, as 64 hexadecimal digits or the 32 bytes; one of the two."""

    key_file: Annotated[Path | None, Field(description="a file that only this system's user may read")] = None
    key_env: Annotated[str | None, Field(description="the name of an environment variable")] = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.key_file is None) == (self.key_env is None):
            raise ValueError("name key_file or key_env, one of the two")
        return self


class EncryptionConfig(KeySource):
    """Recordings of a volume are encrypted at rest with AES-256-GCM under this key.

    previous: keys of before, which old recordings are read with.
    """

    previous: Annotated[tuple[KeySource, ...], Field(description="keys that old recordings need")] = ()


class TierConfig(Section):
    """Where closed recordings of a volume are moved to when they are older: a directory or an S3 bucket."""

    name: Annotated[
        str, Field(pattern=r"^[a-z0-9-]{1,63}$", description="names it for good: recordings refer to it")
    ]
    path: Annotated[Path | None, Field(description="a directory: another disk or a network share")] = None
    url: Annotated[str | None, Field(pattern=r"^s3://[^/\s]+(/\S*)?$", description="s3://BUCKET/PREFIX")] = (
        None
    )
    after: Annotated[
        DurationSeconds, between(0, 36_500 * 86_400), Field(description="the age at which they move")
    ]
    quota: Annotated[
        SizeBytes, Field(ge=QUOTA_MIN_BYTES, description="oldest recordings go first when it is reached")
    ] = 1 << 40
    endpoint: Annotated[
        str | None, Field(pattern=r"^https?://\S+$", description="of an S3 server other than Amazon's")
    ] = None
    region: Annotated[str, Field(description="of the bucket")] = "us-east-1"
    access_key: Annotated[SecretStr | None, Field(description="S3 access key id")] = None
    secret_key: Annotated[SecretStr | None, Field(description="S3 secret access key")] = None
    secret_key_file: Annotated[Path | None, Field(description="a file that holds it, instead")] = None

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("name path or url, one of the two")
        return self


class VolumeConfig(Section):
    """A directory for recordings, and how much of it may be used."""

    path: Annotated[Path, Field(description="made when it does not exist")]
    quota: Annotated[
        SizeBytes, Field(ge=QUOTA_MIN_BYTES, description="oldest recordings go first when it is reached")
    ] = 50 << 30
    free_floor: Annotated[
        SizeBytes | None,
        Field(description="kept free on its file system; default: 1GiB, or a 50th of a small one"),
    ] = None
    encryption: Annotated[
        EncryptionConfig | None, Field(description="encrypts recordings that are made from now on")
    ] = None
    tiers: Annotated[
        tuple[TierConfig, ...],
        Field(description="where its recordings go when they are older, in this order"),
    ] = ()

    @model_validator(mode="after")
    def _check_tiers(self) -> Self:
        names = [tier.name for tier in self.tiers]
        if len(names) != len(set(names)):
            raise ValueError("tiers: two have the same name; every tier of a volume needs its own")
        ages = [tier.after for tier in self.tiers]
        if ages != sorted(ages):
            raise ValueError("tiers: each must begin no earlier (after) than the one before it")
        return self


class StorageConfig(Section):
    """Where and how recordings are kept."""

    volumes: Annotated[
        tuple[VolumeConfig, ...], Field(description="default: one of 50GiB in data_dir/recordings")
    ] = ()
    segment: Annotated[
        DurationSeconds, between(2, 3600), Field(description="length of one recording file: 2s to 1h")
    ] = 300.0
    classes: Annotated[
        Mapping[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")], RetentionLimits],
        Field(description="named limits of retention that cameras refer to (retention_class)"),
    ] = {}


class SiteConfig(Section):
    """The place that this system watches."""

    name: Annotated[str, Field(max_length=200, description="shown to people")] = ""
    time_zone: Annotated[
        TimeZone, Field(description="of schedules and reports, such as America/Sao_Paulo")
    ] = "UTC"


class Config(Section):
    """The whole configuration."""

    data_dir: Annotated[Path, Field(description="the database, keys and, by default, recordings")] = Path(
        "vms-data"
    )
    http: HttpConfig = HttpConfig()
    webrtc: WebRtcConfig = WebRtcConfig()
    rtsp: RtspConfig = RtspConfig()
    storage: StorageConfig = StorageConfig()
    site: SiteConfig = SiteConfig()
    roles: RolesConfig = RolesConfig()
    bus: BusConfig = BusConfig()
    cameras: Annotated[tuple[Camera, ...], Field(description="cameras that this file manages")] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        ids = [camera.id for camera in self.cameras]
        repeated = sorted({camera_id for camera_id in ids if ids.count(camera_id) > 1})
        if repeated:
            raise ValueError(
                f"cameras: the id {', '.join(repeated)} is used twice; every camera needs its own"
            )
        for camera in self.cameras:
            named = camera.retention_class
            if named is not None and named not in self.storage.classes:
                raise ValueError(
                    f"cameras: {camera.id} names the retention class {named}, and storage.classes has none of that name"
                )
        paths = [volume.path.absolute() for volume in self.storage.volumes]
        if len(paths) != len(set(paths)):
            raise ValueError("storage.volumes: two volumes have the same path; every volume needs its own")
        return self

    @model_validator(mode="after")
    def _refuse_an_open_rtsp_door(self) -> Self:
        if self.rtsp.enabled and not is_loopback(self.rtsp_host) and self.http.token is None:
            raise ValueError(
                f"rtsp.host {self.rtsp_host} is reachable from other machines, so a token is needed: "
                "set http.token to at least 16 random characters, or rtsp.host to 127.0.0.1"
            )
        return self

    @property
    def rtsp_host(self) -> str:
        """Where RTSP players are served."""
        return self.rtsp.host or self.http.host

    def volumes(self) -> tuple[VolumeConfig, ...]:
        """The configured volumes, or the default one inside the data directory."""
        return self.storage.volumes or (VolumeConfig(path=self.data_dir / "recordings"),)


def load_config(path: Path | None, data_dir: Path | None = None) -> Config:
    """The configuration in the file at `path` (all defaults when None); `data_dir` overrides the file's.

    Relative paths in the file are relative to the working directory. Raises ConfigError.
    """
    tree: Any = {}
    if path is not None:
        try:
            tree = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; name an existing file with --config") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: is no YAML: {_yaml_problem(error)}") from error
        tree = {} if tree is None else tree
        if not isinstance(tree, Mapping):
            raise ConfigError(
                f"{path}: must hold keys such as http: and cameras:, not a {type(tree).__name__}"
            )
    if data_dir is not None:
        tree = {**tree, "data_dir": data_dir}
    return parse_config(tree, str(path) if path else "configuration")


def parse_config(tree: Mapping[str, Any], name: str = "configuration") -> Config:
    """Validate a tree of plain values; ConfigError lists every line that is wrong."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{name}: {line}" for line in _explain(error))) from None


def _explain(error: ValidationError) -> list[str]:
    # `input` is left out of every message: it may be a URL with a password in it.
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in problem["loc"]) or "file"
        lines.append(f"{path}: {_message(problem)}")
    return lines


def _message(problem: ErrorDetails) -> str:
    """What is allowed, in the words of the file and not in those of pydantic."""
    loc, context = problem["loc"], problem.get("ctx", {})
    match problem["type"]:
        case "extra_forbidden" | "invalid_key":
            return f"is not a known key; allowed here: {', '.join(_allowed(loc[:-1]))}"
        case "model_type" | "model_attributes_type":
            return f"must hold keys; allowed here: {', '.join(_allowed(loc))}"
        case "tuple_type":
            return "must be a list; write [] for none"
        case "missing":
            return "is missing"
        case "string_type":
            return "must be text; put it in quotes"
        case "path_type":
            return "must be a path, such as ./vms-data"
        case "too_short":
            return f"must have at least {context['min_length']} characters"
        case "string_pattern_mismatch" if context["pattern"] == CAMERA_ID_PATTERN:
            return "must be 1 to 63 of a-z, 0-9 and -, not - at the ends"
        case "greater_than_equal" | "less_than_equal" | "int_parsing" | "int_type" | "int_from_float" if (
            loc[-1] == "port"
        ):
            return "must be a whole number from 0 to 65535"
        case "greater_than_equal" if loc[-1] == "quota":
            return f"must be at least {format_size(QUOTA_MIN_BYTES)}"
    return problem["msg"].removeprefix("Value error, ")


def _allowed(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the section at `loc` may hold."""
    model: type[BaseModel] = Config
    models: dict[str, type[BaseModel]] = {
        "http": HttpConfig,
        "webrtc": WebRtcConfig,
        "rtsp": RtspConfig,
        "roles": RolesConfig,
        "bus": BusConfig,
        "storage": StorageConfig,
        "volumes": VolumeConfig,
        "encryption": EncryptionConfig,
        "previous": KeySource,
        "tiers": TierConfig,
        "classes": RetentionLimits,
        "site": SiteConfig,
        "cameras": Camera,
        "events": EventRecording,
        "schedule": Schedule,
        "entries": ScheduleEntry,
        "limits": RetentionLimits,
    }
    for part in loc:
        model = models.get(str(part), model)
    return list(model.model_fields)


class _Loader(yaml.SafeLoader):
    """YAML as people expect it: no key twice in one place, and `record: off` is text, as in YAML 1.2."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - how PyYAML's classes are told
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} stands here for the second time", key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(_BOOLEAN, re.compile("true|false", re.IGNORECASE), list("tTfF"))


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + str(getattr(error, "problem", None) or "not UTF-8 text")
