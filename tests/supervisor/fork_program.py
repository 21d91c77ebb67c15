"""A fork server whose forks are the small worker."""

import asyncio

import uvloop
from tests.supervisor import worker_program

from vms.supervisor.fork_server import become_worker

if __name__ == "__main__":
    become_worker()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(worker_program.main())
