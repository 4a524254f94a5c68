"""A client of the control socket in binary frames, written from control.proto by hand: no protobuf library needed.

Only what a fast sender and receiver of batches needs.
"""

import socket
import struct

# Field numbers of control.proto.
REQUEST = {"status": 3, "join": 5, "send_batch": 8}
REPLY_ERROR, REPLY_JOIN, REPLY_SEND_BATCH, REPLY_EVENT = 2, 6, 9, 16
EVENT_MESSAGE, EVENT_BATCH = 6, 7


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """One field: an int as varint, bytes or str with their length. Zero and empty values are left out, as proto3 does."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def parse(data):
    """{field number: last value} of a message."""
    fields, at = {}, 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = read_varint()
        if tag & 7 == 0:
            fields[tag >> 3] = read_varint()
        elif tag & 7 == 2:
            length = read_varint()
            fields[tag >> 3] = data[at:at + length]
            at += length
        else:
            raise ValueError(f"wire type {tag & 7}")
    return fields


def body(messages):
    """Body of a SendBatch."""
    return b"".join(struct.pack("<I", len(m)) + m for m in messages)


def unpack(data):
    """Messages of a MessageBatch's body."""
    at, messages = 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        messages.append(bytes(data[at + 4:at + 4 + length]))
        at += 4 + length
    return messages


class BinaryClient:
    """Blocking; one thread may write while another reads."""

    def __init__(self, path, timeout=60.0):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._buffer = bytearray()

    def close(self):
        self._socket.close()

    def fileno(self):
        return self._socket.fileno()

    def post(self, number, kind, content):
        message = field(1, number) + varint(REQUEST[kind] << 3 | 2) + varint(len(content)) + content
        self._socket.sendall(struct.pack(">I", len(message)) + message)

    def join(self, group, name):
        self.post(1, "join", field(1, group) + field(2, name))
        while True:
            reply = self.read()
            if reply.get(1) == 1:
                if REPLY_JOIN not in reply:
                    raise AssertionError(f"join refused: {reply}")
                return

    def post_batch(self, number, group, messages, service=0):
        content = field(1, group) + field(2, service) + field(3, len(messages)) + field(4, body(messages))
        self.post(number, "send_batch", content)

    def read(self):
        """The next Reply, as parse() gives it."""
        while len(self._buffer) < 4 or len(self._buffer) < 4 + struct.unpack_from(">I", self._buffer)[0]:
            data = self._socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the daemon closed the connection")
            self._buffer += data
        (length,) = struct.unpack_from(">I", self._buffer)
        frame = bytes(self._buffer[4:4 + length])
        del self._buffer[:4 + length]
        return parse(frame)


def messages_of(reply):
    """[(node of the sender, message)] delivered by this Reply; [] for all others."""
    if REPLY_EVENT not in reply:
        return []
    event = parse(reply[REPLY_EVENT])
    if EVENT_BATCH in event:
        batch = parse(event[EVENT_BATCH])
        node = parse(batch[2]).get(1, 0)
        return [(node, m) for m in unpack(batch[7])]
    if EVENT_MESSAGE in event:
        message = parse(event[EVENT_MESSAGE])
        return [(parse(message[2]).get(1, 0), bytes(message.get(6) or message.get(7) or b""))]
    return []
