"""The only place where services are wired together: into roles, and roles into processes.

    worker.py      a process around one role            single.py     all roles in one process
    media.py       pull and record                      stream.py     live viewers
    api.py         HTTP                                 keeper.py     a volume
    supervise.py   the supervisor: starts the others, hosts the registry
    launch.py      how `vms serve` becomes the launcher above it

A camera's life: the registry (database and configuration file) says what is configured and which media process
pulls it; that process's agent tells ingest what to pull and storage what to record (media.py, `_apply`).
"""
