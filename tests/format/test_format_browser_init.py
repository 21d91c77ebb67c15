import pytest
from tests.format.format_material import AUDIO, VIDEO, interleave, pictures, record, sounds

from vms.format.errors import FormatError
from vms.format.hybrid import hide_tracks
from vms.format.mp4.boxes import children, require


def test_a_hidden_track_changes_its_handler_and_nothing_else() -> None:
    header = record([VIDEO, AUDIO], interleave(pictures(1), sounds(1))).writer.header()
    init = header[header.index(b"ftyp", 20) - 4 :]
    hidden = hide_tracks(init, {AUDIO.id})
    assert hidden == init.replace(b"soun", b"meta")
    handlers = [
        bytes(require(child.payload, b"mdia", b"hdlr")[8:12])
        for child in children(require(hidden, b"moov"))
        if child.kind == b"trak"
    ]
    assert handlers == [b"vide", b"meta"]


def test_only_an_init_segment_will_do() -> None:
    with pytest.raises(FormatError):
        hide_tracks(b"\0\0\0\x08free", {1})
