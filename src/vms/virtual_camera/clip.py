"""Write the drawn picture into a file: footage for tests and benches where there is none.

Belongs here: a clip of a given length, size and bit rate. Does not: the live pattern (pattern).
"""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, cast

import av

from vms.common.clock import NS
from vms.virtual_camera.painter import Painter

_GOP_S = 2


class ClipOptions(NamedTuple):
    """What a clip is like. bitrate: bits a second; b_frames: pictures between two references, at most.

    start_ns: the wall clock shown in the first picture. codec: an encoder's name in FFmpeg.
    """

    seconds: float
    width: int = 1920
    height: int = 1080
    frames_per_second: int = 25
    bitrate: int = 4_000_000
    b_frames: int = 0
    start_ns: int = 0
    codec: str = "libx264"
    preset: str = "ultrafast"


def write_clip(path: Path, options: ClipOptions) -> None:
    """Draw and encode a clip into an MP4 file with a key picture every 2 s. Blocks for seconds."""
    rate = options.frames_per_second
    with av.open(str(path), "w", format="mp4") as container:
        stream = cast(av.VideoStream, container.add_stream(options.codec, rate=rate))
        stream.width, stream.height, stream.pix_fmt = options.width, options.height, "yuv420p"
        stream.bit_rate = options.bitrate
        stream.gop_size = _GOP_S * rate
        stream.max_b_frames = options.b_frames
        stream.options = {
            "preset": options.preset,
            "bf": str(options.b_frames),
            "maxrate": str(options.bitrate),
            "bufsize": str(options.bitrate // 2),
        }
        if options.codec == "libx264":
            stream.options |= {"x264-params": "scenecut=0"}
        else:
            stream.options |= {"x265-params": f"log-level=none:scenecut=0:bframes={options.b_frames}"}
        frame = av.VideoFrame(options.width, options.height, "yuv420p")
        painter = Painter(
            options.width,
            options.height,
            strides=(frame.planes[0].line_size, frame.planes[1].line_size),
            name=path.stem,
            camera=1,
            noise_bits=options.bitrate / rate,
        )
        for number in range(round(options.seconds * rate)):
            frame = av.VideoFrame(options.width, options.height, "yuv420p")
            planes = painter.paint(options.start_ns + number * NS // rate, number)
            for plane, data in zip(frame.planes, planes, strict=True):
                plane.update(data)  # type: ignore[arg-type]  # any buffer will do
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
