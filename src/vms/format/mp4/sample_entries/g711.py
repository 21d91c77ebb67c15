"""``ulaw``, ``alaw``: G.711 (QuickTime File Format, sound sample descriptions).

A sample in our tables is one RTP packet's worth, as for every other codec, so that a loss stretches it;
ffmpeg, VLC and Chromium read that. Sample size is written as 16 bits, as QuickTime wants of compressed sound.
"""

from vms.format.mp4.sample_entries.description import Description, audio_entry, read_audio_entry
from vms.media import Codec, Track


def build(track: Track) -> bytes:
    """The sample entry of a G.711 track."""
    return audio_entry(b"ulaw" if track.codec is Codec.PCMU else b"alaw", track)


def parse(kind: bytes, payload: memoryview) -> Description:
    """Read what `build` wrote."""
    channels, sample_rate, _ = read_audio_entry(payload)
    codec = Codec.PCMU if kind == b"ulaw" else Codec.PCMA
    return Description(codec, sample_rate=sample_rate, channels=channels)
