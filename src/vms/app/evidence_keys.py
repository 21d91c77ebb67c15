"""Making the keys that sign recordings, when the system starts.

Belongs here: when, and what happens when it cannot be. Does not: the keys (vms.evidence.keys).
"""

import asyncio
from pathlib import Path

from vms.evidence.errors import EvidenceKeysUnusable
from vms.evidence.keys import ensure_keys, read_secrets
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


async def make_evidence_keys(data_dir: Path, node: str) -> None:
    """Make what is missing of the keys, after the gateway made the installation's secret and before anyone records.

    Keys that are there stay. Without usable keys the system records all the same, unsigned, and says so.
    """
    try:
        await asyncio.to_thread(lambda: ensure_keys(data_dir, node, read_secrets(data_dir)))
    except EvidenceKeysUnusable as error:
        log.error("recordings will not be signed", reason=str(error))
