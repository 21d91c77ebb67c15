"""Put an Opus packet or G.711 samples into RTP payloads, which carry them as they are.

RFC 7587 §4.2 (Opus: exactly one packet a payload) and RFC 3551 §4.5.14 (PCMU, PCMA: a byte a sample).

Belongs here: payload formats without a header of their own. Does not: AAC (`aac`), codecs, SDP.
"""

from vms.wire.errors import ProtocolError


def packetize(access_unit: bytes, max_payload: int) -> list[bytes]:
    """The one RTP payload of an audio frame.

    Neither format knows fragments (a second payload would need a timestamp of its own), so a frame
    longer than `max_payload` bytes raises ProtocolError: its maker has to cut shorter frames.
    """
    if len(access_unit) > max_payload:
        raise ProtocolError(
            f"audio frame of {len(access_unit)} bytes; a packet carries one whole, at most {max_payload}"
        )
    return [access_unit]
