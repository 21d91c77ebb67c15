"""The generated code is that of the .proto files, and yesterday's processes understand today's messages.

After a compatible change of a .proto: ``scripts/proto && python -m tests.proto.compatibility``, and commit the
generated code and tests/proto/baseline.txtpb with it. See tests/proto/compatibility.py.
"""

import subprocess
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from tests.proto import compatibility

from vms.proto import bus_pb2, event_pb2, subjects

ROOT = Path(__file__).resolve().parents[2]

BEFORE = """
file {
  name: "a.proto" package: "vms.a.v1" syntax: "proto3"
  message_type {
    name: "Thing"
    field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "size" number: 2 type: TYPE_UINT64 label: LABEL_OPTIONAL }
    field { name: "kind" number: 3 type: TYPE_ENUM type_name: ".vms.a.v1.Kind" label: LABEL_OPTIONAL }
    field { name: "good" number: 4 type: TYPE_BYTES label: LABEL_OPTIONAL oneof_index: 0 }
    oneof_decl { name: "outcome" }
    reserved_range { start: 9 end: 10 }
    reserved_name: "old"
  }
  enum_type {
    name: "Kind"
    value { name: "KIND_UNSPECIFIED" number: 0 }
    value { name: "KIND_ROUND" number: 1 }
  }
}
"""
SIZE = 'field { name: "size" number: 2 type: TYPE_UINT64 label: LABEL_OPTIONAL }'
RESERVED = 'reserved_range { start: 9 end: 10 } reserved_name: "old"'
ROUND = 'value { name: "KIND_ROUND" number: 1 }'


def changed(*replacements: tuple[str, str]) -> list[str]:
    """The broken rules when BEFORE is changed so."""
    text = " ".join(BEFORE.split())
    for old, new in replacements:
        assert " ".join(old.split()) in text
        text = text.replace(" ".join(old.split()), new)
    before, after = (text_format.Parse(t, FileDescriptorSet()) for t in (BEFORE, text))
    return compatibility.broken_rules(before, after)


def test_the_committed_code_is_what_the_script_generates(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "proto", tmp_path], check=True, timeout=120)
    generated = {path.name: path.read_text() for path in (tmp_path / "vms" / "proto").iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / "src" / "vms" / "proto").glob("*_pb2.py*")}
    assert generated == committed, "run scripts/proto and commit what it writes"


def test_the_messages_keep_the_rules_of_compatibility() -> None:
    assert compatibility.broken_rules(compatibility.baseline(), compatibility.current()) == []


def test_the_baseline_knows_every_message_so_that_none_is_unguarded() -> None:
    assert compatibility.broken_rules(compatibility.current(), compatibility.baseline()) == [], (
        "run python -m tests.proto.compatibility and commit what it writes"
    )


def test_additions_are_compatible() -> None:
    assert (
        changed((SIZE, f'{SIZE} field {{ name: "new" number: 5 type: TYPE_BOOL label: LABEL_OPTIONAL }}'))
        == []
    )
    assert changed((ROUND, f'{ROUND} value {{ name: "KIND_FLAT" number: 2 }}')) == []
    assert changed(("message_type {", 'message_type { name: "Other" } message_type {')) == []


def test_a_removed_field_is_compatible_when_its_number_and_name_are_reserved() -> None:
    reserved = f'{RESERVED} reserved_range {{ start: 2 end: 3 }} reserved_name: "size"'
    assert changed((SIZE, ""), (RESERVED, reserved)) == []
    assert changed((ROUND, 'reserved_range { start: 1 end: 1 } reserved_name: "KIND_ROUND"')) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (SIZE, "", "field 2 (size) is gone"),
        (SIZE, "reserved_range { start: 2 end: 3 }", "field 2 (size) is gone"),
        (SIZE, SIZE.replace("number: 2", "number: 7"), "field 2 (size) is gone"),
        (SIZE, SIZE.replace("UINT64", "INT64"), "was optional uint64 size, is optional int64 size"),
        (SIZE, SIZE.replace("OPTIONAL", "REPEATED"), "is repeated uint64 size"),
        (SIZE, SIZE.replace('"size"', '"length"'), "is optional uint64 length"),
        (SIZE, SIZE.replace("OPTIONAL }", "OPTIONAL oneof_index: 0 }"), "of outcome"),
        ("oneof_index: 0", "", "was optional bytes good of outcome"),
        ('name: "Thing"', 'name: "Item"', "vms.a.v1.Thing is gone"),
        ('name: "a.proto"', 'name: "b.proto"', "a.proto is gone"),
        ("vms.a.v1", "vms.a.v2", "package vms.a.v1 became vms.a.v2"),
        (RESERVED, 'reserved_name: "old"', "numbers 9 to 9 are no longer reserved"),
        (RESERVED, "reserved_range { start: 9 end: 10 }", "the name old is no longer reserved"),
        (ROUND, "", "KIND_ROUND = 1 is gone"),
        (ROUND, 'value { name: "KIND_FLAT" number: 1 }', "1 was KIND_ROUND, is KIND_FLAT"),
        ('name: "Kind" value', 'name: "Sort" value', "vms.a.v1.Kind is gone"),
        ("KIND_UNSPECIFIED", "KIND_NONE", "Kind's zero is KIND_NONE"),
        ("proto3", "proto2", "not proto3"),
    ],
)
def test_each_broken_rule_is_found(old: str, new: str, said: str) -> None:
    found = changed((old, new))
    assert any(said in problem for problem in found), found


def test_a_receiver_ignores_what_it_does_not_know() -> None:
    frame = bus_pb2.LocalFrame(id=1, call=bus_pb2.LocalFrame.Call(method="status"))
    unknown = b"\xfa\x06\x03new"  # field 111
    parsed = bus_pb2.LocalFrame.FromString(frame.SerializeToString() + unknown)
    assert (parsed.id, parsed.call.method) == (1, "status")
    assert bus_pb2.Error.FromString(b"\x08\x63").kind == 99  # a kind of a later version


def test_a_message_with_nothing_in_it_can_be_read() -> None:
    assert event_pb2.Event.FromString(b"").id == ""


def test_subjects_are_of_the_site_and_a_star_stands_for_all() -> None:
    assert subjects.worker_status("media-0") == "vms.default.worker.media-0"
    assert subjects.worker_status("*", site="*") == "vms.*.worker.*"
    assert subjects.event("camera_live", "yard") == "vms.default.event.camera_live.yard"
    assert subjects.event("worker_started", "") == "vms.default.event.worker_started._"
