import pytest

from vms.format.errors import FormatError
from vms.ingest import errors
from vms.ingest.rtsp_source import _as_source_errors
from vms.wire import errors as wire


@pytest.mark.parametrize(
    ("raised", "told", "code"),
    [
        (wire.AuthenticationFailed("401"), errors.SourceUnauthorized, "unauthorized"),
        (wire.RequestRefused("404 Not Found", 404), errors.SourceNotFound, "not_found"),
        (wire.RequestRefused("453 Not Enough Bandwidth", 453), errors.SourceRefused, "refused"),
        (wire.UnsupportedMedia("MJPEG"), errors.SourceUnsupported, "unsupported_codec"),
        (wire.ProtocolError("garbage"), errors.SourceProtocolError, "protocol_error"),
        (FormatError("bad SPS"), errors.SourceProtocolError, "protocol_error"),
        (wire.PeerUnreachable("refused"), errors.SourceUnreachable, "unreachable"),
        (wire.PeerTimeout("silent"), errors.SourceUnreachable, "unreachable"),
        (ConnectionResetError("reset"), errors.SourceUnreachable, "unreachable"),
        (wire.PeerGone("closed"), errors.SourceEnded, "ended"),
        (errors.NoFrames("none"), errors.NoFrames, "no_frames"),
    ],
)
def test_what_the_wire_says_becomes_an_error_with_a_slug(
    raised: Exception, told: type[errors.SourceError], code: str
) -> None:
    with pytest.raises(told) as caught, _as_source_errors("porch (rtsp://192.0.2.1/)"):
        raise raised
    assert caught.value.code == code
