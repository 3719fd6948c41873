"""A field keeps its number, name and type for ever."""

from collections.abc import Callable, Iterator, Mapping

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto

from services.schema import pb

Listed = Callable[[str, Mapping[str, str]], dict[str, str]]

SCALARS = {
    value: name.removeprefix("TYPE_").lower()
    for name, value in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


def messages() -> Iterator[Descriptor]:
    """Every message, the nested ones after their parent."""
    todo = list(pb.DESCRIPTOR.message_types_by_name.values())
    while todo:
        message = todo.pop(0)
        yield message
        todo[:0] = message.nested_types


def enums() -> Iterator[EnumDescriptor]:
    yield from pb.DESCRIPTOR.enum_types_by_name.values()
    for message in messages():
        yield from message.enum_types


def describe(field: FieldDescriptor) -> str:
    target = field.message_type or field.enum_type
    words = [
        f"{field.number}:",
        "repeated" if field.is_repeated else "",
        target.full_name if target else SCALARS[field.type],
        f"oneof {field.containing_oneof.name}" if field.containing_oneof else "",
    ]
    return " ".join(word for word in words if word)


def current() -> dict[str, str]:
    fields = {field.full_name: describe(field) for message in messages() for field in message.fields}
    values = {f"{enum.full_name}.{value.name}": f"{value.number}: value" for enum in enums() for value in enum.values}
    return fields | values


def reserved() -> tuple[set[str], set[tuple[str, int]]]:
    """Names and numbers that proto/ reserves: they were used once."""
    names: set[str] = set()
    numbers: set[tuple[str, int]] = set()
    for message in messages():
        form = DescriptorProto()
        message.CopyToProto(form)
        names |= {f"{message.full_name}.{name}" for name in form.reserved_name}
        numbers |= {(message.full_name, n) for span in form.reserved_range for n in range(span.start, span.end)}
    for enum in enums():
        shape = EnumDescriptorProto()
        enum.CopyToProto(shape)
        names |= {f"{enum.full_name}.{name}" for name in shape.reserved_name}
        numbers |= {(enum.full_name, n) for span in shape.reserved_range for n in range(span.start, span.end + 1)}
    return names, numbers


def test_no_field_changes_its_number_name_or_type(listed: Listed) -> None:
    now = current()
    names, numbers = reserved()
    broken = []
    for name, was in listed("fields.txt", now).items():
        place = (name.rpartition(".")[0], int(was.split(":")[0]))
        if name in now and now[name] != was:
            broken.append(f"{name} was «{was}» and is «{now[name]}»")
        elif name not in now and not (name in names and place in numbers):
            broken.append(f"{name} is gone: reserve its name and its number {place[1]}")
    assert not broken, "; ".join(broken)


@pytest.mark.parametrize("enum", list(enums()), ids=lambda enum: enum.full_name)
def test_every_enum_has_an_unspecified_zero(enum: EnumDescriptor) -> None:
    assert enum.values_by_number[0].name.endswith("UNSPECIFIED")
    assert len(enum.values_by_number) == len(enum.values), "two names for one number"
