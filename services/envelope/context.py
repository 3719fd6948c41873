"""What a ciphertext is bound to: it opens nowhere but in the place it was sealed for."""

import struct
from typing import Literal

from services.bus.topics import Topic


def context(
    topic: Topic, camera_id: str, epoch: int, seq: int, content: Literal["picture", "sound"] = "picture"
) -> bytes:
    """The additional authenticated data of one payload.

    Args:
        topic: that the message is written to.
        camera_id: of the message.
        epoch: of the message, unsigned, 64 bits.
        seq: of a frame, or the index of a packet of sound.
        content: pictures and sound are numbered apart.
    """
    return framed("veil.v1", topic.name, content, camera_id) + struct.pack(">QQ", epoch, seq)


def framed(*parts: str) -> bytes:
    """Texts as bytes, each behind its length, so that no two different lists look alike."""
    return b"".join(struct.pack(">I", len(raw)) + raw for raw in (part.encode() for part in parts))
