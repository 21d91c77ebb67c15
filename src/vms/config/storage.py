"""Where recordings are kept: volumes, their encryption, their tiers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from vms.common.camera import RetentionLimits
from vms.common.quantities import DurationSeconds, SizeBytes, between
from vms.config.section import Section

QUOTA_MIN_BYTES = 16 << 20


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
