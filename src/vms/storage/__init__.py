"""Recordings: written to volumes, found again, deleted when their time is up.

docs/architecture/storage.md describes orders of operations and what is promised.

Belongs here: files, disks, the catalog, retention; playing what was recorded (playback).
Does not: the bytes of a recording (vms.format.hybrid), where units come from (vms.ingest).
"""
