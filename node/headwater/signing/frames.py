"""Messages between a signer and those who ask it: a length and one JSON object.

In: a connected stream socket. Out: dictionaries of the strict JSON subset. Four bytes of length, big-endian, then
canonical JSON. Knows no operation.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from headwater.errors import InvalidInput
from headwater.protocol.canonical import canonical_json, parse_json

MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""Room for a contract deployment; far above any struct."""


def encode_frame(message: dict[str, Any]) -> bytes:
    """Raises InvalidInput if the message is too large or not of the subset."""
    data = canonical_json(message)
    if len(data) > MAX_FRAME_BYTES:
        raise InvalidInput(f"the message has {len(data):,} bytes", f"send at most {MAX_FRAME_BYTES:,}")
    return len(data).to_bytes(4, "big") + data


def send_frame(connection: socket.socket, message: dict[str, Any]) -> None:
    """Raises InvalidInput as `encode_frame`, OSError if the other side is gone."""
    connection.sendall(encode_frame(message))


def receive_frame(connection: socket.socket) -> dict[str, Any] | None:
    """The next message; None if the other side closed between two. Raises InvalidInput, OSError."""
    head = _exactly(connection, 4)
    if head is None:
        return None
    size = int.from_bytes(head, "big")
    if size > MAX_FRAME_BYTES:
        raise InvalidInput(f"a message of {size:,} bytes was announced", f"send at most {MAX_FRAME_BYTES:,}")
    data = _exactly(connection, size)
    if data is None:
        raise ConnectionResetError("closed in the middle of a message")
    message = parse_json(data, "the message")
    if not isinstance(message, dict):
        raise InvalidInput("the message is not an object", "send an object")
    return message


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            if data:
                raise ConnectionResetError("closed in the middle of a message")
            return None
        data += part
    return bytes(data)
