"""WebRTC to viewers: ICE-lite, DTLS, SRTP and the RTP that goes through them.

Belongs here: everything that a browser's standards say. Does not: cameras, users, who may watch what
(vms.stream).
"""
