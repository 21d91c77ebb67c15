"""A file into the configuration, or into words that say what is wrong with it.

Belongs here: YAML, messages. Does not: what is allowed (the sections).
"""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vms.common.camera import Camera, EventRecording, RetentionLimits, Schedule, ScheduleEntry
from vms.common.errors import InvalidInput
from vms.common.ids import CAMERA_ID_PATTERN
from vms.common.quantities import format_size
from vms.config.http import HttpConfig
from vms.config.live import RtspConfig, TranscodeConfig, WebRtcConfig, WebTransportConfig
from vms.config.processes import BusConfig, RolesConfig
from vms.config.srt import SrtConfig, SrtPushConfig
from vms.config.storage import (
    QUOTA_MIN_BYTES,
    EncryptionConfig,
    KeySource,
    StorageConfig,
    TierConfig,
    VolumeConfig,
)
from vms.config.tree import Config, SiteConfig

_BOOLEAN = "tag:yaml.org,2002:bool"


class ConfigError(InvalidInput):
    """The configuration cannot be used; the text lists every line that is wrong and what is allowed."""


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
        "webtransport": WebTransportConfig,
        "srt": SrtConfig,
        "push": SrtPushConfig,
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
