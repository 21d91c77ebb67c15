"""The supervisor: starts the processes of a system, watches them, starts again what dies, ends them in order.

It carries no picture and no request, so its own death disturbs nothing: the launcher (vms.launcher) starts another
one, which takes on the processes as they run.

Belongs here: processes, and what a process needs to be one of them (child). Does not: what workers do (the services),
which there are (vms.app). Nothing is imported here: workers load `child` alone.
"""
