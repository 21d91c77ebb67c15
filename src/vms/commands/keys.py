"""``vms keys``: the keys that sign recordings.

Belongs here: options. Does not: what is done (key_listing), the keys (vms.evidence.keys).
"""

from pathlib import Path
from typing import Annotated

import typer

_Config = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file (YAML).")]
_DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where the keys live.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(
        help="The keys that sign recordings.",
        no_args_is_help=True,
        epilog="Examples:\n\n  vms keys show\n\n  vms keys export > system.pem\n\n  vms keys rotate --ca",
    )
    keys.command("show", epilog="Example:\n\n  vms keys show --config vms.yaml")(show)
    keys.command("export", epilog="Example:\n\n  vms keys export -o system.pem")(export)
    keys.command("rotate", epilog="Examples:\n\n  vms keys rotate\n\n  vms keys rotate --ca")(rotate)
    app.add_typer(keys, name="keys")


def show(config: _Config = None, data_dir: _DataDir = None) -> None:
    """List the system's authorities and this node's key, with the fingerprints that verification shows."""
    from vms.commands.key_listing import data_directory, show_keys

    show_keys(data_directory(config, data_dir))


def export(
    config: _Config = None,
    data_dir: _DataDir = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of standard output.")
    ] = None,
    node: Annotated[
        bool, typer.Option("--node", help="The node's certificate instead of the system's.")
    ] = False,
    public_key: Annotated[
        bool, typer.Option("--public-key", help="The bare public key, without certificate.")
    ] = False,
) -> None:
    """Print the certificate (PEM) that others verify this system's footage with: vms verify --key."""
    from vms.commands.key_listing import data_directory, export_key

    typer.echo(
        export_key(data_directory(config, data_dir), output, node=node, public_key=public_key), nl=False
    )


def rotate(
    config: _Config = None,
    data_dir: _DataDir = None,
    ca: Annotated[
        bool, typer.Option("--ca", help="Replace the authority, and with it the node's key.")
    ] = False,
) -> None:
    """Replace the node's key. A system that runs signs with the new one from its next recording on."""
    from vms.commands.key_listing import data_directory, rotate_keys, show_keys

    where = data_directory(config, data_dir)
    rotate_keys(where, ca=ca)
    show_keys(where)
    if ca:
        typer.echo("give the new certificate to whoever verifies this system's footage: vms keys export")
