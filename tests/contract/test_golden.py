"""Every message is on the wire what it was when it was agreed on, byte for byte, and is read back the same."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from services.schema import pb

Listed = Callable[[str, Mapping[str, str]], dict[str, str]]

EXAMPLES: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("examples.yaml").read_text())


def examples() -> dict[str, Message]:
    return {
        f"{name}.{case}": ParseDict(fields, getattr(pb, name)())
        for name, cases in EXAMPLES.items()
        for case, fields in cases.items()
    }


def wire() -> dict[str, str]:
    return {name: message.SerializeToString(deterministic=True).hex() for name, message in examples().items()}


def test_every_example_has_its_golden_bytes(listed: Listed) -> None:
    now = wire()
    golden = listed("golden.txt", now)
    changed = [name for name, was in golden.items() if now.get(name) != was]
    assert not changed, f"{', '.join(changed)}: the bytes on the wire are no longer the agreed ones"


def test_golden_bytes_are_read_back_as_the_example(listed: Listed) -> None:
    golden = listed("golden.txt", wire())
    for name, message in examples().items():
        read = type(message).FromString(bytes.fromhex(golden[name]))
        assert read == message, name


def test_the_examples_set_every_field_of_every_message() -> None:
    found: dict[str, set[str]] = {name: set() for name in pb.DESCRIPTOR.message_types_by_name}
    for message in examples().values():
        found[message.DESCRIPTOR.name] |= {field.name for field, _ in message.ListFields()}
    missing = [
        f"{name}.{field.name}"
        for name, descriptor in pb.DESCRIPTOR.message_types_by_name.items()
        for field in descriptor.fields
        if field.name not in found[name]
    ]
    assert not missing, f"no example sets {', '.join(missing)}"


def test_a_reader_keeps_what_a_newer_writer_added() -> None:
    """Field 2000 stands for one that this version does not know; passing the message on must not lose it."""
    unknown = b"\x82\x7d\x01x"
    for name, message in examples().items():
        old = type(message).FromString(message.SerializeToString(deterministic=True) + unknown)
        assert unknown in old.SerializeToString(deterministic=True), name
