"""The configuration: one validated tree, read once from a YAML file.

Unknown keys are refused; every error names the path of its line and says what is allowed. `app`
hands each service its own section.
"""

from vms.config.http import HttpConfig, TlsConfig
from vms.config.live import IceServerConfig, RtspConfig, TranscodeConfig, WebRtcConfig, WebTransportConfig
from vms.config.loading import ConfigError, load_config, parse_config
from vms.config.processes import BusConfig, RolesConfig
from vms.config.section import Section, is_loopback
from vms.config.srt import SrtConfig, SrtPushConfig
from vms.config.storage import EncryptionConfig, KeySource, StorageConfig, TierConfig, VolumeConfig
from vms.config.tree import Config, SiteConfig

__all__ = [
    "BusConfig",
    "Config",
    "ConfigError",
    "EncryptionConfig",
    "HttpConfig",
    "IceServerConfig",
    "KeySource",
    "RolesConfig",
    "RtspConfig",
    "Section",
    "SiteConfig",
    "SrtConfig",
    "SrtPushConfig",
    "StorageConfig",
    "TierConfig",
    "TlsConfig",
    "TranscodeConfig",
    "VolumeConfig",
    "WebRtcConfig",
    "WebTransportConfig",
    "is_loopback",
    "load_config",
    "parse_config",
]
