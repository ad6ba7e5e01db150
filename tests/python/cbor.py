"""CBOR as AWS's Java clients write and read it, in as many words as the tests need."""

import struct
from dataclasses import dataclass


@dataclass
class Tag:
    number: int
    value: object


def head(kind, number):
    for more, (width, limit) in enumerate([("B", 1 << 8), ("H", 1 << 16), ("I", 1 << 32), ("Q", 1 << 64)]):
        if number < 24:
            return bytes([kind << 5 | number])
        if number < limit:
            return bytes([kind << 5 | 24 + more]) + struct.pack(">" + width, number)
    raise ValueError(f"{number} needs more than 64 bits")


def encode(value, definite=False):
    """A value as CBOR; lists and maps without a length, as Java's generator writes them, or `definite`."""
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case None:
            return b"\xf6"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            return head(3, len(value.encode())) + value.encode()
        case Tag():
            return head(6, value.number) + encode(value.value, definite)
        case list():
            items = [encode(item, definite) for item in value]
            kind = 4
        case dict():
            items = [encode(name, definite) + encode(item, definite) for name, item in value.items()]
            kind = 5
    inside = b"".join(items)
    return head(kind, len(items)) + inside if definite else bytes([kind << 5 | 31]) + inside + b"\xff"


def decode(data):
    value, end = _value(data, 0)
    assert end == len(data), f"{len(data) - end} bytes follow the value"
    return value


def _value(data, at):
    kind, more = data[at] >> 5, data[at] & 31
    at += 1
    if kind == 7:
        return _simple(data, at, more)
    if more == 31:
        return _without_length(data, at, kind)
    number = more
    if more >= 24:
        width = 1 << more - 24
        number, at = int.from_bytes(data[at : at + width], "big"), at + width
    match kind:
        case 0:
            return number, at
        case 1:
            return -1 - number, at
        case 2 | 3:
            text = data[at : at + number]
            assert len(text) == number, "the data ends in a string"
            return (text if kind == 2 else text.decode()), at + number
        case 4 | 5:
            return _items(data, at, kind, number)
        case 6:
            inner, at = _value(data, at)
            return Tag(number, inner), at


def _simple(data, at, more):
    match more:
        case 20 | 21:
            return more == 21, at
        case 22:
            return None, at
        case 27:
            return struct.unpack(">d", data[at : at + 8])[0], at + 8
    raise ValueError(f"a simple value of kind {more}")


def _items(data, at, kind, count):
    items = []
    for _ in range(count if kind == 4 else 2 * count):
        item, at = _value(data, at)
        items.append(item)
    return (items if kind == 4 else _map(items)), at


def _without_length(data, at, kind):
    items = []
    while data[at] != 0xFF:
        item, at = _value(data, at)
        items.append(item)
    joined = {2: b"".join, 3: "".join, 4: list, 5: _map}[kind]
    return joined(items), at + 1


def _map(items):
    names, values = items[::2], items[1::2]
    assert len(set(names)) == len(names), f"a name stands twice: {names}"
    return dict(zip(names, values))
