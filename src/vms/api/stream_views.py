"""What the API shows of a camera's streams, within its document."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class WebRtcView(BaseModel):
    """Whether a browser can watch the camera over WebRTC as it is."""

    playable: bool
    reason: Annotated[
        Literal["b_frames", "codec"] | None, Field(description="why WebRTC cannot carry this stream")
    ]
    detail: Annotated[str, Field(description="the same for a person; empty when there is nothing to say")]


class SubStreamView(BaseModel):
    """A camera's sub stream now. It is pulled while somebody watches it, and known from then on."""

    state: Annotated[
        Literal["connecting", "live", "failed", "stopped"],
        Field(description="stopped: nobody watches it, so it is not pulled"),
    ]
    reason: Annotated[str | None, Field(description="why it is not live, for a person")]
    reason_code: Annotated[str | None, Field(description="the same for programs")]
    codec: Annotated[str | None, Field(examples=["h264", "h265"])]
    width: Annotated[int | None, Field(description="pixels")]
    height: Annotated[int | None, Field(description="pixels")]
    fps: Annotated[float | None, Field(description="pictures a second, as measured")]
    bitrate: Annotated[int | None, Field(description="bits a second, as measured")]
