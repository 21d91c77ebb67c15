"""The messages that processes exchange (Protocol Buffers), and the subjects that they travel on.

The generated code is committed; `scripts/proto` writes it anew.

Rules of compatibility, checked by tests/proto: processes of two versions meet whenever a system is brought up to
date, and messages lie on disk. So a field is never renumbered or given another type, a removed field's
number and name are reserved, a new field may be absent, an enumeration's zero is "not said" (…_UNSPECIFIED), and what a
receiver does not know it ignores.

After a change: ``scripts/proto && python -m tests.proto.compatibility``, and commit the generated code and
tests/proto/baseline.txtpb with it; the second command refuses what breaks a rule.

Belongs here: messages, subjects. Does not: sending them (vms.bus), what they mean (the services).
"""
