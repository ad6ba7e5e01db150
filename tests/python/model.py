"""The service model that botocore ships: what a valid value is, and what breaks each of its rules by one."""

import base64
import copy
import re

import botocore.loaders

MODEL = botocore.loaders.Loader().load_service_model("kinesis", "service-2")
SHAPES = MODEL["shapes"]
OPERATIONS = MODEL["operations"]

# A valid value of each shape whose pattern a row of letters does not match.
EXAMPLES = {
    "StreamARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/s",
    "ConsumerARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/s/consumer/c:1",
    "ResourceARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/s",
    "StreamId": "abcdefghij0123456789-abc",
    "HashKey": "0",
    "SequenceNumber": "0",
}


# Where AWS answers with less than its own model allows: no metrics, and no record that failed.
LOOSE = {("MetricsNameList", "min"), ("PositiveIntegerObject", "min")}


def input_of(operation):
    return OPERATIONS[operation].get("input", {}).get("shape")


def output_of(operation):
    return OPERATIONS[operation].get("output", {}).get("shape")


def matches(shape, text):
    pattern = shape.get("pattern")
    # Java's way: a pattern without anchors must match the whole.
    return pattern is None or re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None


def sample(name):
    """A valid value, with the required members alone."""
    shape = SHAPES[name]
    if name in EXAMPLES:
        return EXAMPLES[name]
    if "enum" in shape:
        return shape["enum"][0]
    match shape["type"]:
        case "string":
            text = "a" * max(1, shape.get("min", 1))
            assert matches(shape, text), f"{name} needs an example"
            return text
        case "integer" | "long":
            return shape.get("min", 1)
        case "boolean":
            return False
        case "timestamp":
            return 1_700_000_000
        case "blob":
            return ""
        case "list":
            return [sample(shape["member"]["shape"])] * max(1, shape.get("min", 1))
        case "map":
            return {sample(shape["key"]["shape"]): sample(shape["value"]["shape"])}
        case "structure":
            members = shape["members"]
            return {member: sample(members[member]["shape"]) for member in shape.get("required", [])}


def faults(name, value, seen="$"):
    """What is wrong with an answer, by the model: each fault as a line."""
    shape = SHAPES[name]
    if value is None:
        return [f"{seen} is null"]
    kinds = {
        "string": str, "integer": int, "long": int, "boolean": bool, "timestamp": (int, float), "blob": str,
        "list": list, "map": dict, "structure": dict,
    }
    kind = shape["type"]
    if not isinstance(value, kinds[kind]) or (kind != "boolean" and isinstance(value, bool)):
        return [f"{seen} is no {kind}: {value!r}"]
    found = []
    if kind in ("integer", "long"):
        size = value
    elif kind == "blob":
        size = len(base64.b64decode(value, validate=True))
    elif kind in ("string", "list", "map"):
        size = len(value)
    else:
        size = None
    least = size if (name, "min") in LOOSE else shape.get("min", size)
    if size is not None and not least <= size <= shape.get("max", size):
        found.append(f"{seen} is out of range: {value!r}")
    if kind == "string" and not matches(shape, value):
        found.append(f"{seen} does not match {shape['pattern']}: {value!r}")
    if "enum" in shape and value not in shape["enum"]:
        found.append(f"{seen} is none of {shape['enum']}: {value!r}")
    if kind == "structure":
        found += [f"{seen}.{member} is missing" for member in shape.get("required", []) if member not in value]
        for member, inner in value.items():
            if member in shape["members"]:
                found += faults(shape["members"][member]["shape"], inner, f"{seen}.{member}")
            else:
                found.append(f"{seen}.{member} is not in the model")
    elif kind == "list":
        for index, inner in enumerate(value):
            found += faults(shape["member"]["shape"], inner, f"{seen}[{index}]")
    elif kind == "map":
        for key, inner in value.items():
            found += faults(shape["key"]["shape"], key, f"{seen}.key")
            found += faults(shape["value"]["shape"], inner, f"{seen}.{key}")
    return found


def members(name, path=()):
    """Every member of a shape, nested ones too, as a path of names."""
    shape = SHAPES[name]
    if shape["type"] == "structure":
        for member, inner in shape["members"].items():
            yield (*path, member)
            yield from members(inner["shape"], (*path, member))
    elif shape["type"] == "list":
        yield from members(shape["member"]["shape"], path)


def present(name, value, path=()):
    """The members that a value has, as `members` names them."""
    shape = SHAPES[name]
    if shape["type"] == "structure":
        for member, inner in value.items():
            if member in shape["members"]:
                yield (*path, member)
                yield from present(shape["members"][member]["shape"], inner, (*path, member))
    elif shape["type"] == "list":
        for inner in value:
            yield from present(shape["member"]["shape"], inner, path)


class Breach:
    """One rule of the model, and a way to break it. `path` leads to the member: names, and 0 for a list's element."""

    def __init__(self, path, rule, at, change):
        self.path, self.rule, self.at, self.change = path, rule, at, change

    def __str__(self):
        return f"{'.'.join(map(str, self.path))}-{self.rule}"

    def of(self, request, root):
        """The request, but for this rule."""
        request = copy.deepcopy(request)
        holder, shape = request, SHAPES[root]
        for step, following in zip(self.path, [*self.path[1:], None]):
            inner = shape["member"]["shape"] if step == 0 else shape["members"][step]["shape"]
            if following is None:
                self.change(holder, step)
                break
            if step != 0 and step not in holder:
                holder[step] = sample(inner)
            holder, shape = holder[step], SHAPES[inner]
        return request


def put(value):
    def change(holder, step):
        holder[step] = value

    return change


def leave_out(holder, step):
    holder.pop(step, None)


def named(path):
    """A path as the service spells it in its messages."""
    words = []
    for step in path:
        words.append(f"{step + 1}.member" if isinstance(step, int) else step[0].lower() + step[1:])
    return ".".join(words)


def breaches(root, path=(), shape=None):
    """Every way to break a rule of an input."""
    name = shape or root
    shape = SHAPES[name]
    if shape["type"] == "structure":
        for member, inner in shape["members"].items():
            here = (*path, member)
            if member in shape.get("required", []):
                yield Breach(here, "left-out", named(here), leave_out)
            yield from broken_values(inner["shape"], here)
            yield from breaches(root, here, inner["shape"])
    elif shape["type"] == "list" and SHAPES[shape["member"]["shape"]]["type"] == "structure":
        yield from breaches(root, (*path, 0), shape["member"]["shape"])


def broken_values(name, path):
    at = named(path)
    for rule, value in violations(name):
        yield Breach(path, rule, at, put(value))
    shape = SHAPES[name]
    if shape["type"] == "list":
        for rule, value in violations(shape["member"]["shape"]):
            yield Breach(path, f"element-{rule}", at, put([value]))
    if shape["type"] == "map":
        key, value = shape["key"]["shape"], shape["value"]["shape"]
        for rule, broken in violations(key):
            yield Breach(path, f"key-{rule}", at, put({broken: sample(value)}))
        for rule, broken in violations(value):
            yield Breach(path, f"value-{rule}", at, put({sample(key): broken}))


def violations(name):
    """Values that break one rule of a shape each."""
    shape = SHAPES[name]
    least, most = shape.get("min"), shape.get("max")
    match shape["type"]:
        case "string":
            if "enum" in shape:
                yield "enum", "NO_SUCH_WORD"
            if least:
                yield "min", "a" * (least - 1)
            if most is not None:
                yield "max", "a" * (most + 1)
            if "pattern" in shape:
                assert not matches(shape, "!")
                yield "pattern", "!"
        case "integer" | "long":
            if least is not None:
                yield "min", least - 1
            if most is not None:
                yield "max", most + 1
        case "blob":
            if most is not None:
                yield "max", base64.b64encode(bytes(most + 1)).decode()
        case "list":
            if least:
                yield "min", []
            if most is not None:
                yield "max", [sample(shape["member"]["shape"])] * (most + 1)
        case "map":
            if least:
                yield "min", {}
            if most is not None:
                yield "max", {f"k{n}": sample(shape["value"]["shape"]) for n in range(most + 1)}


WRONG_TYPES = {
    "string": 7, "integer": "x", "long": "x", "boolean": "x", "timestamp": "x", "blob": 7, "list": {}, "map": [],
    "structure": [],
}


def wrong_types(root):
    """A value of the wrong JSON type for every member of an input."""
    for path in members(root):
        steps, shape = [], SHAPES[root]
        for step in path:
            if shape["type"] == "list":
                steps.append(0)
                shape = SHAPES[shape["member"]["shape"]]
            steps.append(step)
            shape = SHAPES[shape["members"][step]["shape"]]
        yield Breach(tuple(steps), "type", named(steps), put(WRONG_TYPES[shape["type"]]))


def for_boto(name, value):
    """A request of JSON values as boto3 takes it: blobs as bytes."""
    shape = SHAPES[name]
    match shape["type"]:
        case "blob":
            return base64.b64decode(value)
        case "list":
            return [for_boto(shape["member"]["shape"], inner) for inner in value]
        case "structure":
            return {member: for_boto(shape["members"][member]["shape"], inner) for member, inner in value.items()}
        case _:
            return value
