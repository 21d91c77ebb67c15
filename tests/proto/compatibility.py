"""Whether the messages of today can be read by yesterday's processes, and the other way round.

The rules stand in src/vms/proto/__init__.py. `baseline.txtpb` holds the messages as they were last agreed on. After a
compatible change of a .proto, renew it and commit both:

    scripts/proto && python -m tests.proto.compatibility

It refuses while a rule is broken. Before anything was released, `--force` takes today's messages as they are.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

import vms.proto

BASELINE = Path(__file__).with_name("baseline.txtpb")


def current() -> FileDescriptorSet:
    """The messages of the generated code."""
    descriptors = FileDescriptorSet()
    for path in sorted(Path(vms.proto.__path__[0]).glob("*_pb2.py")):
        importlib.import_module(f"vms.proto.{path.stem}").DESCRIPTOR.CopyToProto(descriptors.file.add())
    return descriptors


def baseline() -> FileDescriptorSet:
    """The messages as they were last agreed on."""
    return text_format.Parse(BASELINE.read_text(), FileDescriptorSet())


def broken_rules(old: FileDescriptorSet, new: FileDescriptorSet) -> list[str]:
    """What a change from `old` to `new` breaks, a sentence each; empty for a compatible one."""
    files = {file.name: file for file in new.file}
    found = [problem for file in new.file for problem in _file_alone(file)]
    for was in old.file:
        now = files.get(was.name)
        if now is None:
            found.append(f"{was.name} is gone; keep it, its messages may lie on a disk")
        elif now.package != was.package:
            found.append(f"{was.name}: package {was.package} became {now.package}")
        else:
            found += _messages(was.package, was.message_type, now.message_type)
            found += _enums(was.package, was.enum_type, now.enum_type)
    return found


def _file_alone(file: FileDescriptorProto) -> Iterator[str]:
    if file.syntax != "proto3":
        yield f"{file.name}: not proto3"
    enums = [*file.enum_type, *(enum for message in _all(file.message_type) for enum in message.enum_type)]
    for enum in enums:
        zero = next((value.name for value in enum.value if value.number == 0), "")
        if not zero.endswith("_UNSPECIFIED"):
            yield f"{file.name}: {enum.name}'s zero is {zero or 'missing'}; zero is …_UNSPECIFIED, not said"


def _all(messages: "list[DescriptorProto]") -> Iterator[DescriptorProto]:
    for message in messages:
        yield message
        yield from _all(message.nested_type)


def _messages(scope: str, old: "list[DescriptorProto]", new: "list[DescriptorProto]") -> Iterator[str]:
    by_name = {message.name: message for message in new}
    for was in old:
        name = f"{scope}.{was.name}"
        now = by_name.get(was.name)
        if now is None:
            yield f"{name} is gone; keep it, processes of two versions meet"
            continue
        yield from _fields(name, was, now)
        yield from _messages(name, was.nested_type, now.nested_type)
        yield from _enums(name, was.enum_type, now.enum_type)


def _fields(name: str, old: DescriptorProto, new: DescriptorProto) -> Iterator[str]:
    by_number = {field.number: field for field in new.field}
    numbers = {number for span in new.reserved_range for number in range(span.start, span.end)}
    for was in old.field:
        now = by_number.get(was.number)
        if now is not None:
            before, after = _shape(old, was), _shape(new, now)
            if before != after:
                yield f"{name}: field {was.number} was {before}, is {after}"
        elif was.number not in numbers or was.name not in new.reserved_name:
            yield f"{name}: field {was.number} ({was.name}) is gone; reserve its number and its name"
    for span in old.reserved_range:
        if not numbers.issuperset(range(span.start, span.end)):
            yield f"{name}: numbers {span.start} to {span.end - 1} are no longer reserved"
    for reserved in set(old.reserved_name) - set(new.reserved_name):
        yield f"{name}: the name {reserved} is no longer reserved"


def _shape(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    """Everything about a field that its readers rely on."""
    label = FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower()
    kind = field.type_name or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    oneof = f" of {message.oneof_decl[field.oneof_index].name}" if field.HasField("oneof_index") else ""
    return f"{label} {kind} {field.name}{oneof}"


def _enums(scope: str, old: "list[EnumDescriptorProto]", new: "list[EnumDescriptorProto]") -> Iterator[str]:
    by_name = {enum.name: enum for enum in new}
    for was in old:
        now = by_name.get(was.name)
        if now is None:
            yield f"{scope}.{was.name} is gone; keep it, processes of two versions meet"
            continue
        names = {value.number: value.name for value in now.value}
        numbers = {n for span in now.reserved_range for n in range(span.start, span.end + 1)}
        for value in was.value:
            if value.number not in names:
                if value.number not in numbers or value.name not in now.reserved_name:
                    yield f"{scope}.{was.name}: {value.name} = {value.number} is gone; reserve both"
            elif names[value.number] != value.name:
                yield f"{scope}.{was.name}: {value.number} was {value.name}, is {names[value.number]}"


def renew(*, force: bool) -> list[str]:
    """Write the baseline anew; what stands in the way, if anything does."""
    problems = broken_rules(baseline() if BASELINE.exists() and not force else FileDescriptorSet(), current())
    if not problems:
        BASELINE.write_text(text_format.MessageToString(current()))
    return problems


if __name__ == "__main__":
    refused = renew(force="--force" in sys.argv[1:])
    print("\n".join(refused) or f"{BASELINE} is renewed")
    sys.exit(bool(refused))
