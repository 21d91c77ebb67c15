"""``vms volume-key``: keys that recordings are encrypted with.

Belongs here: the command. Does not: how keys are read and used (vms.storage.keyring).
"""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    keys = typer.Typer(
        help="Keys that recordings are encrypted with.",
        no_args_is_help=True,
        epilog="Example:\n\n  vms volume-key new /etc/vms/volume.key",
    )
    app.add_typer(keys, name="volume-key")
    keys.callback()(_group)
    keys.command("new", epilog="Example:\n\n  vms volume-key new /etc/vms/volume.key")(new)


def _group() -> None:
    pass  # so that `new` stays a word of its own while it is the only one


def new(
    file: Annotated[Path, typer.Argument(help="Where the key goes; a file that exists is not touched.")],
) -> None:
    """Make a key file that only its owner may read. Back it up: without it recordings are lost."""
    from vms.storage.keyring import key_id, new_key_file

    key = new_key_file(file)
    typer.echo(
        f"{file}: a new key, id {key_id(key).hex()}\n"
        "Name it in the configuration, at the volume: encryption: {key_file: FILE}. Keep a copy elsewhere than on the "
        "recording disks: without the key, what it encrypts cannot be read by anybody."
    )
