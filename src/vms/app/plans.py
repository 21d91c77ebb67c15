"""Which processes a configuration asks for on this machine.

Belongs here: their number, their descriptors, the order in which they end. Does not: running them
(vms.supervisor), what they do (worker).
"""

import sys
from collections.abc import Mapping

from vms.app.places import Places
from vms.bus.nats_bus import NatsBus
from vms.bus.server import NatsServer
from vms.config import Config
from vms.supervisor.counts import count, usable_cores
from vms.supervisor.plan import WorkerPlan

ENDS_FIRST: Mapping[str, int] = {
    "api": 0, "stream": 1, "quic": 1, "transcode": 2, "render": 3, "media": 4, "keeper": 5, "srt": 5, "nats": 6,
}  # fmt: skip
"""Viewers first, then cameras, then what brought them (srt); the bus last, because the others still say what they do."""
STARTED_FIRST = ("keeper", "media", "stream", "api", "render", "transcode", "quic", "srt")
"""All roles but the bus, in the order in which their workers are started."""
STORE_EVERY = 5
"""Of so many questions whether the message server works, one goes to its store too."""
STOP_S: Mapping[str, float] = {
    "api": 10.0,
    "stream": 5.0,
    "render": 5.0,
    "transcode": 5.0,
    "quic": 5.0,
    "srt": 5.0,
    "media": 20.0,
    "keeper": 10.0,
    "nats": 5.0,
}


def worker_names(config: Config) -> Mapping[str, list[str]]:
    """The workers of each role."""
    cores = usable_cores()
    counts = {
        "media": count("media", config.roles.media, cores),
        "stream": count("stream", config.roles.stream, cores),
        "api": count("api", config.roles.api, cores),
        "keeper": len(config.volumes()),
        "render": 1,
        "transcode": int(config.transcode.streams != 0),
        "quic": int(config.webtransport.port is not None),
        "srt": int(config.runs_srt),
    }
    return {role: [f"{role}-{index}" for index in range(number)] for role, number in counts.items()}


def worker_plans(
    config: Config, places: Places, fds: Mapping[str, Mapping[str, int]], env: Mapping[str, str]
) -> list[WorkerPlan]:
    """fds: what the workers of each role inherit. env: what all of them are told."""
    return [
        WorkerPlan(
            role,
            name,
            (sys.executable, "-m", "vms.app.worker"),
            env=env,
            fds=fds[role],
            stop_order=ENDS_FIRST[role],
            stop_s=STOP_S[role],
            control=places.control(name),
        )
        for role in STARTED_FIRST
        for name in worker_names(config)[role]
    ]


def nats_plan(server: NatsServer, bus: NatsBus) -> WorkerPlan:
    """The system's own message server. Raises Unavailable when it cannot be prepared."""
    argv, env = server.command()

    def prepare() -> None:
        server.prepare()  # not before its start: one that is adopted keeps its port

    asked = 0

    async def ready() -> bool:
        nonlocal asked
        asked += 1
        return bus.connected and (asked % STORE_EVERY != 1 or await bus.store_works())

    return WorkerPlan(
        "nats",
        "nats",
        tuple(argv),
        env=env,
        stop_order=ENDS_FIRST["nats"],
        stop_s=STOP_S["nats"],
        prepare=prepare,
        ready=ready,
    )
