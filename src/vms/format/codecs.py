"""Tracks from what a source says of its codecs, and codecs' names in RFC 6381.

Belongs here: the one place that looks into parameter sets to fill a `Track`.
Does not: MP4 sample entries (vms.format.mp4), SDP (vms.wire).
"""

from collections.abc import Callable, Sequence

from vms.format import aac, h264, h265
from vms.format.errors import FormatError
from vms.media import Codec, MediaKind, Track

VIDEO_CLOCK_RATE = 90_000
OPUS_CLOCK_RATE = 48_000


def video_track(track_id: int, codec: Codec, parameter_sets: Sequence[bytes], version: int = 0) -> Track:
    """A track from its parameter sets, given in any order, each without length or start code.

    An H.264 stream that does not say how far it reorders counts as one without B-frames, as cameras
    that leave it out are. Raises FormatError: a set is missing, unreadable or of another codec.
    """
    if codec is Codec.H264:
        ordered = _by_type(parameter_sets, (h264.SPS, h264.PPS), h264.nal_type, codec)
        avc = h264.parse_sps(ordered[0])
        width, height, max_reorder = avc.width, avc.height, avc.max_reorder or 0
    elif codec is Codec.H265:
        ordered = _by_type(parameter_sets, (h265.VPS, h265.SPS, h265.PPS), h265.nal_type, codec)
        hevc = h265.parse_sps(next(nal for nal in ordered if h265.nal_type(nal) == h265.SPS))
        width, height, max_reorder = hevc.width, hevc.height, hevc.max_reorder
    else:
        raise FormatError(f"{codec} is no video codec")
    return Track(
        track_id,
        codec,
        VIDEO_CLOCK_RATE,
        ordered,
        version,
        width=width,
        height=height,
        max_reorder=max_reorder,
    )


def audio_track(
    track_id: int,
    codec: Codec,
    *,
    sample_rate: int,
    channels: int,
    parameter_sets: Sequence[bytes] = (),
    version: int = 0,
) -> Track:
    """A track of audio; its clock rate is its sample rate, for Opus 48,000 Hz.

    AAC without an AudioSpecificConfig in `parameter_sets` is taken as AAC-LC. Raises FormatError.
    """
    if codec.kind is not MediaKind.AUDIO:
        raise FormatError(f"{codec} is no audio codec")
    if not 0 < sample_rate <= 384_000 or not 0 < channels <= 255:
        raise FormatError(f"{codec}: {channels} channels at {sample_rate} Hz cannot be")
    sets = tuple(bytes(item) for item in parameter_sets)
    if codec is Codec.AAC:
        sets = sets[:1] or (aac.build_config(sample_rate, channels),)
        aac.parse_config(sets[0])
    elif sets:
        raise FormatError(f"{codec} has no parameter sets")
    clock_rate = OPUS_CLOCK_RATE if codec is Codec.OPUS else sample_rate
    return Track(track_id, codec, clock_rate, sets, version, sample_rate=sample_rate, channels=channels)


def codec_string(track: Track, *, in_band: bool = False) -> str:
    """The codecs parameter of RFC 6381: ``avc1.64001f``, ``hvc1.1.6.L93.B0``, ``mp4a.40.2``, ``opus``,
    ``ulaw``, ``alaw``. in_band: name the sample entry whose samples carry parameter sets."""
    match track.codec:
        case Codec.H264:
            sps = track.parameter_sets[0]
            return f"{'avc3' if in_band else 'avc1'}.{sps[1:4].hex()}"
        case Codec.H265:
            return f"{'hev1' if in_band else 'hvc1'}.{_hevc_profile(track)}"
        case Codec.AAC:
            config = aac.parse_config(track.parameter_sets[0])
            return f"mp4a.40.{5 if config.sbr else config.object_type}"
        case Codec.OPUS:
            return "opus"
        case Codec.PCMU:
            return "ulaw"
        case Codec.PCMA:
            return "alaw"


def _hevc_profile(track: Track) -> str:
    """ISO 14496-15 Annex E.3."""
    sps = next(nal for nal in track.parameter_sets if h265.nal_type(nal) == h265.SPS)
    profile = h265.parse_sps(sps).profile
    space = ("", "A", "B", "C")[profile.profile_space]
    compatibility = int(f"{profile.compatibility:032b}"[::-1], 2)
    constraints = profile.constraints.to_bytes(6).rstrip(b"\0")
    parts = [
        f"{space}{profile.profile_idc}",
        f"{compatibility:X}",
        f"{'H' if profile.tier else 'L'}{profile.level_idc}",
    ]
    return ".".join([*parts, *(f"{byte:X}" for byte in constraints)])


def _by_type(
    parameter_sets: Sequence[bytes], types: tuple[int, ...], nal_type: Callable[[bytes], int], codec: Codec
) -> tuple[bytes, ...]:
    if not all(parameter_sets):
        raise FormatError(f"{codec}: an empty parameter set")
    kinds = [nal_type(nal) for nal in parameter_sets]
    missing = [str(kind) for kind in types if kind not in kinds]
    if missing:
        raise FormatError(f"{codec}: no parameter set of NAL unit type {', '.join(missing)}")
    return tuple(
        bytes(nal) for kind in types for nal, its in zip(parameter_sets, kinds, strict=True) if its == kind
    )
