"""The secret key of an S3 tier: from the configuration, or from a file that nobody else may read.

Belongs here: reading it. Does not: keys that recordings are encrypted with (vms.storage.keyring).
"""

import stat

from vms.config import TierConfig
from vms.storage.tiers.errors import TierUnavailable


def read_secret(config: TierConfig) -> str:
    """It; empty where none is configured. Raises TierUnavailable when its file is missing or open to others."""
    if config.secret_key is not None:
        return config.secret_key.get_secret_value()
    file = config.secret_key_file
    if file is None:
        return ""
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        secret = file.read_text().strip()
    except OSError as error:
        raise TierUnavailable(
            config.name, f"secret_key_file {file} cannot be read: {error.strerror}; restore it"
        ) from error
    except UnicodeDecodeError:
        raise TierUnavailable(config.name, f"secret_key_file {file} is no text; correct it") from None
    if mode & 0o077:
        raise TierUnavailable(
            config.name,
            f"secret_key_file {file} may be read by others (mode {mode:04o}); run: chmod 600 {file}",
        )
    return secret
