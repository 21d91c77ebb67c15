"""A camera made of software: an RTSP server that sends footage, or a drawn picture, as a camera does.

It paces packets over the picture interval, keeps timestamps continuous when footage loops, and says
the true wall clock in its sender reports, so that what is tested or measured against it holds for
real cameras. Many cameras run in one process at a low cost a packet.

Belongs here: footage, the drawn test picture and its clock, pacing, faults on purpose.
Does not: the RTSP protocol (vms.wire.rtsp.server), anything of the system under test.
"""

from vms.virtual_camera.camera import VirtualCamera, VirtualCameraServer, run, serve
from vms.virtual_camera.clock_strip import ClockReading, read_clock
from vms.virtual_camera.errors import FootageInvalid
from vms.virtual_camera.options import CameraOptions, PatternAudio

__all__ = [
    "CameraOptions",
    "ClockReading",
    "FootageInvalid",
    "PatternAudio",
    "VirtualCamera",
    "VirtualCameraServer",
    "read_clock",
    "run",
    "serve",
]
