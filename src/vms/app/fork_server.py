"""The program of the fork server: ``python -m vms.app.fork_server``. What it imports, no worker has to.

Belongs here: the imports. Does not: forking (vms.supervisor.fork_server).
"""

import vms.app.api
import vms.app.keeper
import vms.app.media
import vms.app.stream
import vms.app.subscriber
from vms.app import worker
from vms.supervisor.fork_server import become_worker

__all__ = ["vms"]

if __name__ == "__main__":
    become_worker()
    worker.main()
