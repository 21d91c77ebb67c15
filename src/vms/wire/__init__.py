"""Protocols on the wire: RTP, RTCP, SDP, RTSP, WebRTC. They know no camera, no user and no disk.

Belongs here: parsing and building of messages and packets, and the state machines of protocols.
Does not: who connects when (vms.ingest, vms.stream), bit streams inside the payload (vms.format).
"""
