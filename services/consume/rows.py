"""Turns protobuf messages into flat rows with named values: kinds and states as words, no bytes."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from services.bus.interface import Message
from services.bus.topics import Topic
from services.schema import pb

Row = dict[str, Any]
_Read = Callable[[Any], Any]

# Where each row was read: what a reader needs to go on after it, and to drop it should it come twice.
RECORD_COLUMNS = ("record_partition", "record_offset", "record_us")


def descriptor_of(topic: Topic) -> Descriptor:
    """The protobuf message of a topic's values."""
    return pb.DESCRIPTOR.message_types_by_name[topic.message]


def is_moment(field: FieldDescriptor) -> bool:
    """Whether a number is a time: microseconds since 1970."""
    return field.name.endswith("_us") and field.type == FieldDescriptor.TYPE_INT64


def columns_of(message: Descriptor) -> Sequence[FieldDescriptor]:
    """The fields that rows hold: all but bytes."""
    return [field for field in message.fields if field.type != FieldDescriptor.TYPE_BYTES]


class RowReader:
    """Reads the values of one topic.

    Numbers stay numbers, times are microseconds since 1970, enums are words in lower case without their type's name
    (face, ran), a message that is not there is None.
    """

    def __init__(self, topic: Topic) -> None:
        self._message = getattr(pb, topic.message)
        self._read = _message_reader(descriptor_of(topic))
        self.invalid = 0

    def row(self, message: Message) -> Row | None:
        """The row of one message; None, and counted in `invalid`, if it can't be read."""
        try:
            value = self._message.FromString(message.record.value)
        except DecodeError:
            self.invalid += 1
            return None
        row: Row = self._read(value)
        position = message.position
        where = (position.source.partition, position.offset, message.timestamp_us)
        return row | dict(zip(RECORD_COLUMNS, where, strict=True))


def _message_reader(message: Descriptor) -> _Read:
    columns = [(field.name, _field_reader(field)) for field in columns_of(message)]
    return lambda value: {name: read(value) for name, read in columns}


def _field_reader(field: FieldDescriptor) -> _Read:
    name = field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return lambda value: dict(getattr(value, name))
    read = _value_reader(field)
    if field.is_repeated:
        return lambda value: [read(one) for one in getattr(value, name)]
    if field.has_presence:
        return lambda value: read(getattr(value, name)) if value.HasField(name) else None
    return lambda value: read(getattr(value, name))


def _value_reader(field: FieldDescriptor) -> _Read:
    if field.message_type is not None:
        return _message_reader(field.message_type)
    if field.enum_type is not None:
        return _words_of(field.enum_type).get
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return _shortest
    return _same


def _words_of(enum: EnumDescriptor) -> dict[int, str]:
    """Number → word; an unknown number, from a newer writer, reads as None."""
    prefix = f"{enum.name.upper()}_"
    return {value.number: value.name.removeprefix(prefix).lower() for value in enum.values}


def _shortest(value: float) -> float | None:
    """A 32-bit number with no more digits than it has; None for what JSON has no word for."""
    return float(str(np.float32(value))) if math.isfinite(value) else None


def _same(value: Any) -> Any:
    return value
