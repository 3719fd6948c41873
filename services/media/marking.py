"""The mark that says a picture was redacted: a message in the H.264 stream itself, before every IDR picture."""

from uuid import UUID

MARK_TEXT = "redacted by veil"
MARK_UUID = UUID("7e3b5c91-a46d-4f28-9b17-d2c8e65a3f84")
"""Names the message. Neither it nor the text holds a zero byte, so nothing needs escaping in the stream."""

_SEI = b"\x06"
_USER_DATA_UNREGISTERED = b"\x05"
_STOP_BIT = b"\x80"
_START_CODE = b"\x00\x00\x00\x01"
_IDR_SLICE = b"\x00\x00\x01\x65"

_MARKED_CONTENT = MARK_UUID.bytes + MARK_TEXT.encode("ascii")
_MARK = (
    _START_CODE + _SEI + _USER_DATA_UNREGISTERED + len(_MARKED_CONTENT).to_bytes(1, "big") + _MARKED_CONTENT + _STOP_BIT
)


def insert_mark(access_unit: bytes) -> bytes:
    """An Annex B access unit of an IDR picture with the mark behind its parameter sets. Raises ValueError on others."""
    position = access_unit.find(_IDR_SLICE)
    if position < 0:
        raise ValueError("not an IDR picture")
    if position and access_unit[position - 1] == 0:
        position -= 1
    return access_unit[:position] + _MARK + access_unit[position:]


def is_marked(access_unit: bytes) -> bool:
    """Whether an access unit, in whatever framing, carries the mark."""
    return _MARKED_CONTENT in access_unit
