"""WebRTC viewers: sessions, packetising once for all of them, each viewer's pace and feedback.

Belongs here: who is sent what. Does not: ICE, DTLS, SRTP and RTP itself (vms.wire.webrtc).
"""
