"""The two encodings of the wire, by the service model: from the values of JSON to a body, and back."""

import base64
import json

import cbor
from cbor import Tag
from model import SHAPES

# The tag of a time, in milliseconds: against the RFC, which says seconds.
TIME = 1


class Json:
    content_type = "application/x-amz-json-1.1"

    @staticmethod
    def encode(shape, value):
        return json.dumps(value).encode()

    @staticmethod
    def decode(shape, body):
        return json.loads(body)


class Cbor:
    content_type = "application/x-amz-cbor-1.1"

    @staticmethod
    def encode(shape, value):
        return cbor.encode(value if shape is None else _to_cbor(shape, value))

    @staticmethod
    def decode(shape, body):
        value = cbor.decode(body)
        return value if shape is None else _from_cbor(shape, value)


ENCODINGS = {"json": Json, "cbor": Cbor}


def _to_cbor(name, value):
    """Values that are not of the shape's type stay as they are: that they are refused is a test."""
    shape = SHAPES[name]
    match shape["type"], value:
        case "blob", str():
            return base64.b64decode(value, validate=True)
        case "timestamp", int() | float():
            return Tag(TIME, round(value * 1000))
    return _inside(shape, value, _to_cbor)


def _from_cbor(name, value):
    shape = SHAPES[name]
    match shape["type"], value:
        case "blob", bytes():
            return base64.b64encode(value).decode()
        case "timestamp", Tag(number=1, value=int(millis)):
            return millis / 1000
        case "blob" | "timestamp", _:
            raise AssertionError(f"{value!r} is no {shape['type']} of CBOR")
    return _inside(shape, value, _from_cbor)


def _inside(shape, value, convert):
    match shape["type"], value:
        case "list", list():
            return [convert(shape["member"]["shape"], inner) for inner in value]
        case "structure", dict():
            of = {member: inner["shape"] for member, inner in shape["members"].items()}
            return {member: convert(of[member], inner) if member in of else inner for member, inner in value.items()}
    return value
