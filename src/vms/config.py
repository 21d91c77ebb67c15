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
_ICE_URL = re.compile(
    r"(?:stuns?:[A-Za-z0-9.:\[\]-]+|turns?:[A-Za-z0-9.:\[\]-]+(?:\?transport=(?:udp|tcp))?)"  # RFC 7064, RFC 7065
)


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


class TlsConfig(Section):
    """The certificate with which the API, the web app and live view are served over TLS; read at start."""

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


def _check_count(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= ROLE_MAX):
        return value
    raise ValueError(f"must be auto, or a whole number from 1 to {ROLE_MAX}")


def _check_streams(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= ROLE_MAX):
        return value
    raise ValueError(f"must be auto, or a whole number from 0 to {ROLE_MAX}")


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
    transcode: TranscodeConfig = TranscodeConfig()
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
        "transcode": TranscodeConfig,
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
