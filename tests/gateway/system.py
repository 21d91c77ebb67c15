"""A gateway with its media processes and clients over one bus, and what they end up with."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.gateway.unsteady_bus import UnsteadyBus

from vms.bus.contract import Bus
from vms.common.camera import Camera
from vms.common.clock import Clock, SystemClock
from vms.gateway.agent import MediaAgent
from vms.gateway.client import RegistryClient
from vms.gateway.service import GatewayService
from vms.proto.subjects import worker_status
from vms.proto.worker_pb2 import WorkerStatus

NODE = "here"


class Media:
    """What a media process does with its cameras: it remembers them, and fails when told to."""

    def __init__(self) -> None:
        self.cameras: dict[str, Camera] = {}
        self.calls: list[tuple[Camera | None, Camera | None]] = []
        self.failing: Exception | None = None
        self.held = asyncio.Event()
        self.held.set()
        self.busy: dict[str, int] = {}

    async def __call__(self, old: Camera | None, new: Camera | None) -> None:
        camera = new or old
        assert camera is not None
        assert not self.busy.get(camera.id), "one camera's changes come one after the other"
        self.busy[camera.id] = 1
        try:
            await self.held.wait()
            if self.failing is not None:
                raise self.failing
            assert self.cameras.get(camera.id) == old
            self.calls.append((old, new))
            if new is None:
                del self.cameras[camera.id]
            else:
                self.cameras[camera.id] = new
        finally:
            self.busy[camera.id] = 0


class System:
    """Start what a test needs; `stop` ends all of it."""

    def __init__(
        self, data_dir: Path, bus: Bus | None = None, clock: Clock | None = None, workers: int = 2
    ) -> None:
        self.data_dir = data_dir
        self.bus: Bus = bus if bus is not None else UnsteadyBus()
        self.clock = clock or SystemClock()
        self.workers = [f"media-{number}" for number in range(workers)]
        self.gateway: GatewayService | None = None
        self.agents: dict[str, MediaAgent] = {}
        self.media: dict[str, Media] = {}
        self.clients: list[RegistryClient] = []

    async def start(self, cameras: Sequence[Camera] = ()) -> None:
        await self.bus.start()
        await self.start_gateway(cameras)
        for worker in self.workers:
            await self.start_agent(worker)

    async def start_gateway(self, cameras: Sequence[Camera] = ()) -> GatewayService:
        self.gateway = GatewayService(
            self.data_dir, self.bus, self.clock, node=NODE, workers=self.workers, cameras=cameras
        )
        await self.gateway.start()
        return self.gateway

    async def start_agent(self, worker: str, bus: Bus | None = None) -> MediaAgent:
        media = self.media[worker] = Media()
        agent = MediaAgent(
            worker,
            bus if bus is not None else self.bus,
            self.data_dir,
            self.snapshot(worker),
            clock=self.clock,
            apply=media,
        )
        self.agents[worker] = agent
        await agent.start()
        return agent

    async def kill_agent(self, worker: str) -> None:
        """As SIGKILL does: no last snapshot, its cameras are pulled by nobody."""
        agent = self.agents.pop(worker, None)
        if agent is None:
            return
        for subscription in agent._subscriptions:
            subscription.close()
        await agent._effects.stop()
        assert agent._keeping is not None
        agent._keeping.cancel()
        await asyncio.wait([agent._keeping])
        del self.media[worker]

    def snapshot(self, worker: str) -> Path:
        return self.data_dir / "run" / f"{worker}.snapshot"

    async def client(self, bus: Bus | None = None) -> RegistryClient:
        client = await self.client_unloaded(bus)
        await until(lambda: client.loaded)
        return client

    async def client_unloaded(self, bus: Bus | None = None) -> RegistryClient:
        client = RegistryClient(bus if bus is not None else self.bus, self.data_dir)
        await client.start()
        self.clients.append(client)
        await asyncio.sleep(0)
        return client

    def say_alive(self, worker: str, **facts: object) -> None:
        status = WorkerStatus(worker=worker, role="media", node=NODE, **facts)  # type: ignore[arg-type]
        self.bus.publish(worker_status(worker), status.SerializeToString())

    def running(self) -> dict[str, str]:
        """Camera → worker, of all media processes; a camera at two workers shows as both."""
        places: dict[str, str] = {}
        for worker, media in sorted(self.media.items()):
            for camera_id in media.cameras:
                places[camera_id] = f"{places[camera_id]}+{worker}" if camera_id in places else worker
        return places

    async def stop(self) -> None:
        for client in self.clients:
            await client.stop()
        for agent in self.agents.values():
            await agent.stop()
        if self.gateway is not None:
            await self.gateway.stop()
        await self.bus.stop()


async def until(condition: Callable[[], bool], within_s: float = 20) -> None:
    """Wait for what must become true; the time is only there so that a failing test ends."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
