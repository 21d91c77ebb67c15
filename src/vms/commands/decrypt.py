"""``vms decrypt``: an ordinary MP4 of an encrypted recording.

Belongs here: the command. Does not: reading encrypted recordings (vms.storage.sealed).
"""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples:\n\n  vms decrypt 12-00-00.000Z-main.mp4 -o out.mp4 --volume-key /etc/vms/volume.key\n\n"
        "  vms decrypt REC.mp4 -o out.mp4 --volume-key NEW.key --volume-key OLD.key",
    )(decrypt)


def decrypt(
    file: Annotated[Path, typer.Argument(help="The recording as it lies on its volume.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the MP4 goes; must not exist.")],
    volume_key: Annotated[
        list[Path], typer.Option(help="The volume's key file; several are tried by their id.")
    ],
) -> None:
    """Decrypt one recording of an encrypted volume, checking every byte of it. The system need not run."""
    from vms.config import KeySource
    from vms.storage.decrypting import decrypt_file
    from vms.storage.keyring import Keyring, key_id, load_key

    keys = [load_key(KeySource(key_file=path)) for path in volume_key]
    size_bytes = decrypt_file(file, output, Keyring({key_id(key): key for key in keys}))
    typer.echo(f"{output}: {size_bytes} bytes, all of them authentic")
