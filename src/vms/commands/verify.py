"""``vms verify``: whether footage is what was recorded. Works offline, and needs no database.

Belongs here: options and exit codes. Does not: where files come from (verification), verifying (vms.evidence), how it
looks (verification_view).
"""

from pathlib import Path
from typing import Annotated

import typer

_EPILOG = (
    "Exit codes: 0 everything is unchanged and signed by a trusted key; 1 something is not; 2 it could not be read."
    "\n\nExamples:\n\n  vms verify clip.mp4 --key system.pem\n\n  vms verify /mnt/recordings --config vms.yaml"
    "\n\n  vms verify /mnt/ssd /mnt/archive --config vms.yaml"
    "\n\n  vms verify export.zip --key system.pem --json"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=_EPILOG)(verify)


def verify(  # noqa: PLR0917 - options
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|DIR|URL...",
            help="A recording, an export, an archive, a directory of them. Several files and directories, such as"
            " all volumes and tiers of a system, are verified together.",
        ),
    ],
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", help="Public key or certificate (PEM) to trust: of a system or of a node."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Trust the system of this configuration.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Trust the system whose data directory this is.")
    ] = None,
    volume_key: Annotated[
        list[Path] | None, typer.Option("--volume-key", help="Key file of an encrypted volume.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Say of each fragment of footage: unchanged, changed, missing, reordered, unsigned."""
    from vms.commands.verification import Asked, verify_target

    asked = Asked(tuple(targets), tuple(key or ()), config, data_dir, tuple(volume_key or ()))
    raise typer.Exit(verify_target(asked, as_json=as_json))
