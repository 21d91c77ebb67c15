"""The messages that processes exchange (Protocol Buffers), and the subjects that they travel on.

The generated code is committed; `scripts/proto` writes it anew.

Rules of compatibility, checked by tests/proto: processes of two versions meet whenever a system is brought up to
date, and messages lie on disk. So a field is never renumbered or given another type, a removed field's
number and name are reserved, a new field may be absent, an enumeration's zero is "not said", and what a receiver does not know it
ignores.

Belongs here: messages, subjects. Does not: sending them (vms.bus), what they mean (the services).
"""
