"""RTSP 1.0 (RFC 2326): messages, authentication, the client and the server.

Belongs here: the protocol. Does not: when to connect and what to do with media (vms.ingest), where a
virtual camera's media comes from (vms.virtual_camera).
"""
