"""Live streams that a viewer cannot play, made into ones that it can: decoded and encoded again as H.264.

The costliest way to watch, so it is the last that a viewer is offered, bounded in number, and shared: however many
watch, a camera is transcoded once.

Belongs here: decoding, scaling, encoding, how many at once. Does not: where streams come from and go to (vms.relay, by
vms.app), which viewer needs it (vms.stream.ladder).
"""

from vms.transcode.options import TranscodeOptions
from vms.transcode.service import TranscodeService

__all__ = ["TranscodeOptions", "TranscodeService"]
