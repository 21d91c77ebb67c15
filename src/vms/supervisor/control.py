"""What can be asked of a running supervisor, over ``run/supervisor.sock``.

    status   → ProcessList
    restart  Restart → Restarted    begins it; NotFound for an unknown target
    reload   → nothing              reads the configuration again

Belongs here: methods and their messages. Does not: the socket (vms.bus.local), what they do (supervisor).
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from vms.bus.local import Method
from vms.common.errors import InvalidInput
from vms.proto import worker_pb2
from vms.supervisor.supervisor import Supervisor

SOCKET_NAME = "supervisor.sock"


def control_socket(run_dir: Path) -> Path:
    """Where the supervisor of a system listens."""
    return run_dir / SOCKET_NAME


def control_methods(
    supervisor: Supervisor, reload: Callable[[], Awaitable[None]] | None = None
) -> dict[str, Method]:
    """For a LocalServer at `control_socket`; more may be added."""

    async def status(_: bytes) -> bytes:
        return supervisor.status().SerializeToString()

    async def restart(argument: bytes) -> bytes:
        target = worker_pb2.Restart.FromString(argument).target
        if not target:
            raise InvalidInput("restart what? name a worker, such as media-0, or a role")
        # Not waited for: whoever asks may be one of them, and cannot end before it has an answer
        names = supervisor.restart_soon(target)
        return worker_pb2.Restarted(workers=names).SerializeToString()

    async def read_again(_: bytes) -> bytes:
        if reload is None:
            raise InvalidInput("this system has no configuration file to read again")
        await reload()
        return b""

    return {"status": status, "restart": restart, "reload": read_again}
