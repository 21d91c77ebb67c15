"""A worker process: ``python -m vms.app.worker``, started by the supervisor with a seat in its environment.

It runs one role until it is told to end, or its launcher has gone.

Belongs here: one process around one role. Does not: the roles (media, stream, api, keeper, render, transcode, quic, srt).
"""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import uvloop

from vms.app.places import RENDER, TRANSCODE, Places, index_of
from vms.app.plans import STOP_S
from vms.app.processes import allow_many_files
from vms.app.role import Around, Role
from vms.app.running import RunningRole
from vms.app.settings import read_settings
from vms.bus.address import BusAddress
from vms.bus.nats_bus import NatsBus
from vms.common.clock import SystemClock
from vms.config import Config
from vms.supervisor.child import Seat, StopSignal, end_within
from vms.telemetry.logs import configure_logs, get_logger

if TYPE_CHECKING:
    from vms.app.subscriber import Subscriber

log = get_logger(__name__)

JSON_LOGS_VARIABLE = "VMS_JSON_LOGS"
LOG_LEVEL_VARIABLE = "VMS_LOG_LEVEL"


def main() -> None:
    """Run the role that the environment names."""
    seat = Seat.from_environment()
    configure_logs(
        json=os.environ.get(JSON_LOGS_VARIABLE) == "1",
        level=os.environ.get(LOG_LEVEL_VARIABLE, "info"),
        role=seat.role,
        worker=seat.worker,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(seat))


async def _run(seat: Seat) -> None:
    stopped = StopSignal(seat)
    allow_many_files()
    descriptor = seat.descriptor("config")
    assert descriptor is not None, "a plan passes every worker its settings"
    config = read_settings(descriptor)
    clock = SystemClock()
    places = Places(config.data_dir)
    bus = NatsBus(lambda: bus_address(config, places))
    async with AsyncExitStack() as stack:
        around = Around(config, places, seat.worker, bus, clock)
        await bus.start()
        stack.push_async_callback(bus.stop)
        role = await _BUILDERS[seat.role](around, seat, stack)
        running = RunningRole(seat.role, around, role, control=seat.control)
        await running.start()
        stack.push_async_callback(running.stop)
        gc.collect()
        gc.freeze()  # what was made to start lives on; walking it again and again would delay pictures
        await stopped.wait()
        log.info("stopping", reason=stopped.reason)
        await end_within(STOP_S[seat.role], stack.aclose())


def bus_address(config: Config, places: Places) -> BusAddress:
    """Where the bus is now. Raises BusUnavailable while the system's own server has none."""
    if config.bus.url is not None:
        return BusAddress.parse(config.bus.url.get_secret_value())
    return BusAddress.load(places.bus_address)


async def _media(around: Around, seat: Seat, stack: AsyncExitStack) -> Role:
    from vms.app.media import MediaRole
    from vms.storage.keeper_control import KeeperClient

    keepers = range(len(around.config.volumes()))
    return MediaRole(around, [KeeperClient(around.places.control(f"keeper-{each}")) for each in keepers])


async def _keeper(around: Around, seat: Seat, stack: AsyncExitStack) -> Role:
    from vms.app.keeper import KeeperRole

    volume = around.config.volumes()[index_of(seat.worker)]
    return KeeperRole(volume, around.places, around.clock, bus=around.bus, worker=around.worker)


async def _stream(around: Around, seat: Seat, stack: AsyncExitStack) -> Role:
    from vms.app.stream import StreamRole

    subscriber, url_secret = await _viewing(around, stack)
    hubs = subscriber.hubs
    role = StreamRole(
        around,
        hubs.lease,
        rtsp=seat.listener("rtsp"),
        url_secret=url_secret,
        before=[hubs.source],
    )
    subscriber.on_removed = role.end_camera
    subscriber.on_no_sub = role.end_sub
    return role


async def _render(around: Around, seat: Seat, stack: AsyncExitStack) -> Role:
    from vms.app.render import RenderRole
    from vms.storage.render.priority import be_nice

    be_nice()  # before there are other threads, which take it over
    return RenderRole(around)


async def _transcode(around: Around, seat: Seat, stack: AsyncExitStack) -> Role:
    from vms.app.transcode import TranscodeRole

    subscriber = await _subscriber(around, stack)
    role = TranscodeRole(around, subscriber.hubs.lease, before=[subscriber.hubs.source])
    subscriber.on_removed = role.end_camera
    return role


async def _quic(around: Around, seat: Seat, stack: AsyncExitStack) -> Role:
    from vms.app.quic import QuicRole

    subscriber, url_secret = await _viewing(around, stack)
    hubs = subscriber.hubs
    role = QuicRole(around, hubs.lease, url_secret=url_secret, before=[hubs.source])
    subscriber.on_removed = role.end_camera
    subscriber.on_no_sub = role.end_sub
    return role


async def _srt(around: Around, seat: Seat, stack: AsyncExitStack) -> Role:
    from vms.app.srt import SrtRole

    subscriber, url_secret = await _viewing(around, stack)
    hubs = subscriber.hubs
    role = SrtRole(
        around,
        hubs.lease,
        subscriber.registry,
        url_secret=url_secret,
        before=[hubs.source],
    )
    subscriber.on_removed = role.end_camera
    subscriber.on_no_sub = role.end_sub
    return role


async def _api(around: Around, seat: Seat, stack: AsyncExitStack) -> Role:
    from vms.app.api import ApiRole
    from vms.app.lock_keepers import keeper_clients
    from vms.app.remote import LocalMachine
    from vms.common.secrets import installation_secrets
    from vms.storage.render.control import RenderControl
    from vms.stream.http.token import SECRET_PURPOSE

    subscriber = await _subscriber(around, stack)
    machine = LocalMachine(around.places)
    stack.push_async_callback(machine.close)
    rendering = RenderControl(around.places.control(RENDER))
    stack.callback(rendering.close)
    keepers = keeper_clients(around.config, around.places)
    for keeper in keepers:
        stack.callback(keeper.close)
    secrets = await installation_secrets(around.config.data_dir)
    return ApiRole(
        around,
        registry=subscriber.registry,
        directory=subscriber.directory,
        lease=subscriber.hubs.lease,
        machine=machine,
        session_secret=secrets.derive("api session"),
        url_secret=secrets.derive(SECRET_PURPOSE),
        keepers=keepers,
        rendering=rendering,
        listener=seat.listener("http"),
        before=[subscriber.hubs.source],
    )


async def _viewing(around: Around, stack: AsyncExitStack) -> tuple["Subscriber", bytes]:
    """The hubs for roles that serve viewers, transcoded ones among them, and the secret of tokens in URLs."""
    from vms.common.secrets import installation_secrets
    from vms.relay import UnixAddress
    from vms.stream.http.token import SECRET_PURPOSE

    subscriber = await _subscriber(around, stack)
    hubs = subscriber.hubs
    if around.config.transcode.streams != 0:
        hubs.locate_compat = lambda camera_id: UnixAddress(around.places.relay(TRANSCODE))
    secrets = await installation_secrets(around.config.data_dir)
    return subscriber, secrets.derive(SECRET_PURPOSE)


async def _subscriber(around: Around, stack: AsyncExitStack) -> "Subscriber":
    from vms.app.subscriber import Subscriber

    subscriber = Subscriber(around.places, around.bus, around.clock)
    await subscriber.start()
    stack.push_async_callback(subscriber.stop)
    await subscriber.registry.wait_loaded()
    return subscriber


_BUILDERS: Mapping[str, Callable[[Around, Seat, AsyncExitStack], Awaitable[Role]]] = {
    "media": _media,
    "keeper": _keeper,
    "stream": _stream,
    "api": _api,
    "render": _render,
    "transcode": _transcode,
    "quic": _quic,
    "srt": _srt,
}
"""Each imports what its role needs alone: memory that a media process does not use is not spent on it."""


if __name__ == "__main__":
    main()
