"""The commands. Each reads its options, calls one function, and turns typed errors into exit codes."""

import asyncio
import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.markup import escape

from vms import __version__
from vms.commands import decrypt, fsck, keys, verify, volume_key
from vms.common.errors import VmsError

app = typer.Typer(
    name="vms",
    help="VMS Enterprise: pulls cameras, records them, plays them back, shows them live.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals may hold credentials
    rich_markup_mode="rich",
    epilog="Examples:\n\n  vms demo\n\n  vms serve --config vms.yaml",
)
config_app = typer.Typer(
    help="Look at the configuration.",
    no_args_is_help=True,
    epilog="Examples:\n\n  vms config check vms.yaml\n\n  vms config schema > vms.schema.json",
)
app.add_typer(config_app, name="config")
volume_key.register(app)
decrypt.register(app)
keys.register(app)
verify.register(app)
fsck.register(app)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file (YAML).", show_default=False)
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the database, keys and recordings live.", show_default="vms-data"),
]
JsonLogsOption = Annotated[bool, typer.Option("--json-logs", help="Write logs as JSON lines.")]
LogLevelOption = Annotated[
    Literal["debug", "info", "warning", "error"], typer.Option(help="The least that is logged.")
]
_Result = TypeVar("_Result")


def main() -> None:
    """Run the command line; a VmsError ends it with status 1 and its text."""
    try:
        app()
    except VmsError as error:
        Console(stderr=True).print(f"[bold red]vms:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"vms {__version__}")
        raise typer.Exit


@app.command(
    epilog="Examples:\n\n  vms serve\n\n  vms serve --config vms.yaml --data-dir /var/lib/vms\n\n"
    "  vms serve --single-process",
)
def serve(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    json_logs: JsonLogsOption = False,
    log_level: LogLevelOption = "info",
    single_process: Annotated[
        bool, typer.Option("--single-process", help="Everything in one process, for small machines.")
    ] = False,
) -> None:
    """Run the system until SIGTERM or SIGINT, then close every recording properly.

    It is several processes: `vms status` shows them. SIGHUP makes it read its configuration again and
    restart what that changes.
    """
    from vms.config import load_config
    from vms.telemetry.logs import configure_logs

    configure_logs(json=json_logs, level=log_level, role="supervisor", worker="supervisor")
    checked = load_config(config, data_dir)
    if single_process:
        from vms.app.single import serve as run

        _run(run(checked))
    else:
        from vms.app.launch import replace_by_launcher

        replace_by_launcher(config, data_dir, json_logs=json_logs, log_level=log_level)


@app.command(epilog="Examples:\n\n  vms status\n\n  vms status --watch\n\n  vms status --json")
def status(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl+C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show every process of the system that runs on this machine."""
    from vms.app.places import Places
    from vms.config import load_config
    from vms.supervisor.view import show_status

    _run(show_status(Places(load_config(config, data_dir).data_dir).run, watch=watch, as_json=as_json))


@app.command(epilog="Examples:\n\n  vms restart stream\n\n  vms restart media-0")
def restart(
    target: Annotated[str, typer.Argument(help="A process such as media-0, or a role: one after the other.")],
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Restart one process of the system, or those of a role; the others go on."""
    from vms.app.places import Places
    from vms.config import load_config
    from vms.supervisor.view import request_restart

    workers = _run(request_restart(Places(load_config(config, data_dir).data_dir).run, target))
    typer.echo(f"restarting {', '.join(workers)}")


@app.command(
    epilog="Examples:\n\n"
    "  vms camera footage.mp4 --count 4\n\n"
    "  vms camera --pattern --sub\n\n"
    "  vms camera --pattern --port 8554 --user admin --password secret\n\n"
    "  vms camera --pattern --drop-after 30 --drop-for 5",
)
def camera(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Footage to loop; with several, cameras take turns.")
    ] = None,
    pattern: Annotated[
        bool, typer.Option("--pattern", help="Draw a moving picture with a readable clock.")
    ] = False,
    count: Annotated[
        int, typer.Option(min=1, max=1000, help="How many cameras, at /camera-1 … /camera-N.")
    ] = 1,
    sub: Annotated[
        bool, typer.Option("--sub", help="A smaller drawn picture beside each, at /camera-1/sub …")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes any free one.")] = 8554,
    user: Annotated[str | None, typer.Option(help="Ask for this user name (Digest).")] = None,
    password: Annotated[str | None, typer.Option(help="Ask for this password (Digest).")] = None,
    drop_after: Annotated[
        float | None, typer.Option(help="Close all connections after so many seconds.")
    ] = None,
    drop_for: Annotated[float, typer.Option(help="Refuse connections for so many seconds then.")] = 5.0,
    jitter_ms: Annotated[float, typer.Option(min=0, help="Delay packets at random by up to this.")] = 0.0,
    loss: Annotated[float, typer.Option(min=0, max=100, help="Per cent of UDP packets to lose.")] = 0.0,
    bitrate: Annotated[int, typer.Option(help="Bits a second of the pattern.")] = 2_000_000,
    audio: Annotated[Literal["none", "pcmu", "aac"], typer.Option(help="Sound of the pattern.")] = "none",
) -> None:
    """Be one or more cameras: an RTSP server that loops footage, paced as real cameras are."""
    from vms import virtual_camera
    from vms.telemetry.logs import configure_logs

    configure_logs(json=False, level="warning")
    options = virtual_camera.CameraOptions(
        files=tuple(files or ()),
        pattern=pattern,
        count=count,
        sub=sub,
        host=host,
        port=port,
        user=user,
        password=password,
        drop_after_s=drop_after,
        drop_for_s=drop_for,
        jitter_ms=jitter_ms,
        loss_percent=loss,
        bitrate=bitrate,
        audio=virtual_camera.PatternAudio(audio),
    )

    def print_urls(cameras: Sequence[virtual_camera.VirtualCamera]) -> None:
        urls = [url for camera in cameras for url in (camera.url, camera.sub_url) if url is not None]
        print(*urls, sep="\n", flush=True)

    virtual_camera.run(options, print_urls)


@app.command(epilog="Examples:\n\n  vms demo\n\n  vms demo footage.mp4 --cameras 9")
def demo(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Footage for the cameras; none: a drawn picture.")
    ] = None,
    cameras: Annotated[int, typer.Option(min=1, max=100, help="How many virtual cameras.")] = 4,
    data_dir: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path("vms-data/demo"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the web app is served; 0: any free port.")
    ] = 8080,
) -> None:
    """Run the whole system with virtual cameras and print the URL to open."""
    from vms.demo import run_demo
    from vms.telemetry.logs import configure_logs

    configure_logs(json=False, level="warning")
    _run(run_demo(tuple(files or ()), cameras=cameras, data_dir=data_dir, port=port))


@config_app.command("schema", epilog="Example:\n\n  vms config schema > vms.schema.json")
def config_schema() -> None:
    """Print the JSON Schema of the configuration, for editors and checks."""
    from vms.config import Config

    typer.echo(json.dumps(Config.model_json_schema(), indent=2))


@config_app.command("check", epilog="Example:\n\n  vms config check vms.yaml")
def config_check(path: Annotated[Path, typer.Argument(help="The file to check.")]) -> None:
    """Say whether a configuration file can be used, and what is wrong with it."""
    from vms.config import load_config

    config = load_config(path)
    typer.echo(f"{path}: usable; {len(config.cameras)} cameras, {len(config.volumes())} volumes")


def _run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)
