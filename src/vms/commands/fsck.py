"""``vms fsck``: whether a volume's catalog, files and tiers agree, and putting in order what does not.

Belongs here: options. Does not: running it (fsck_run), checking (vms.storage.fsck).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_EPILOG = (
    "Examples:\n\n  vms fsck --config vms.yaml\n\n  vms fsck --config vms.yaml --level digests\n\n"
    "  vms fsck --config vms.yaml --volume /srv/video --repair"
)


class LevelName(StrEnum):
    """How deep to look."""

    CATALOG = "catalog"
    STRUCTURE = "structure"
    DIGESTS = "digests"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=_EPILOG)(fsck)


def fsck(  # noqa: PLR0917 - options
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration file (YAML).", show_default=False)
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Where the system keeps its data.", show_default="vms-data"),
    ] = None,
    volume: Annotated[
        list[Path] | None,
        typer.Option("--volume", help="Only this volume of the configuration.", show_default="all of them"),
    ] = None,
    level: Annotated[
        LevelName,
        typer.Option(
            help="catalog: rows against files. structure: every fragment, too. digests: signatures, too."
        ),
    ] = LevelName.CATALOG,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Complete torn files, give files their rows, make lost catalogs anew. The system must not run.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Check volumes. Exit status 0: nothing is wrong, or all was put in order; 1: something is; 2: not checked.

    Without --repair nothing is changed, and the system may run meanwhile.
    """
    from vms.commands.fsck_run import Asked, run

    asked = Asked(config, data_dir, tuple(volume or ()), level.value, repair)
    raise typer.Exit(run(asked, as_json=as_json))
