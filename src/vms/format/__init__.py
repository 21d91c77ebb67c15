"""Bit streams and containers: H.264, H.265, AAC, MP4 boxes and the hybrid recording format. No I/O.

Belongs here: what a standard says about bytes, and our recording format on top of it.
Does not: sockets (vms.wire), files (vms.storage); callers hand in bytes or a `ReadAt`.
"""
