"""How `vms serve` becomes the launcher of the system (vms.launcher).

Belongs here: the command lines. Does not: the launcher itself, which imports nothing of ours.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from vms import launcher


def replace_by_launcher(
    config: Path | None, data_dir: Path | None, *, json_logs: bool, log_level: str
) -> NoReturn:
    """Become a small process that all others stand and fall with; it starts the supervisor (supervise)."""
    options = ["--log-level", log_level]
    if config is not None:
        options += ["--config", str(config)]
    if data_dir is not None:
        options += ["--data-dir", str(data_dir)]
    if json_logs:
        options.append("--json-logs")
    supervisor = [sys.executable, "-m", "vms.app.supervise", *options]
    argv = launcher.command(supervisor, json_logs=json_logs)
    os.execv(argv[0], argv)  # noqa: S606 - our own interpreter
