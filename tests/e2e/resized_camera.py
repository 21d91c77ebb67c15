"""A camera whose encoder is set to another size when a test says so: GStreamer's, in a process of its own."""

import signal

from tests.e2e.system import GST_SERVER, Process

FIRST_WIDTH, THEN_WIDTH = 320, 640
_PICTURES = "video/x-raw,width={},height={},framerate=25/1"
_FIRST, _THEN = _PICTURES.format(FIRST_WIDTH, 180), _PICTURES.format(THEN_WIDTH, 360)
_SOURCE = f"videotestsrc is-live=true pattern=ball ! capsfilter name=size caps={_FIRST}"
H264 = "x264enc speed-preset=ultrafast key-int-max=25 ! h264parse config-interval=-1 ! rtph264pay"
H264_REORDERED = (
    "x264enc speed-preset=ultrafast key-int-max=25 bframes=2 b-adapt=false "
    "! video/x-h264,profile=main ! h264parse config-interval=-1 ! rtph264pay"
)
H265 = (
    "x265enc speed-preset=ultrafast key-int-max=25 option-string=bframes=0 "
    "! h265parse config-interval=-1 ! rtph265pay"
)


class ResizedCamera(Process):
    """Pictures of FIRST_WIDTH until `resize`, of THEN_WIDTH from then on, whoever asks. To be stopped."""

    def __init__(self, encoder: str) -> None:
        """encoder: from pictures to RTP, as H264."""
        launch = f"{_SOURCE} ! {encoder} name=pay0 pt=96"
        super().__init__("/usr/bin/python3", str(GST_SERVER), launch, "--then", _THEN)
        self.url = self.find(r"rtsp://\S+")[0]

    def resize(self) -> None:
        self.send(signal.SIGUSR1)
