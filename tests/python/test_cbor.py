"""CBOR beside JSON: both say the same, and whatever goes wrong is told in the encoding that asked."""

import base64

import pytest

import cbor
import model
from asked import Asked
from calls import CALLS, FIRST_SHARD, World
from cbor import Tag
from conftest import Node
from encoding import Cbor, Json

READING = [operation for operation in sorted(CALLS) if operation.startswith(("Describe", "Get", "List"))]
# What differs from call to call.
FLEETING = {"MillisBehindLatest", "NextShardIterator", "NextToken", "ShardIterator"}
MOST = 10 << 20


@pytest.fixture(scope="module")
def in_json(node):
    return Asked(node, Json)


@pytest.fixture(scope="module")
def in_cbor(node):
    return Asked(node, Cbor)


@pytest.fixture(scope="module")
def world(in_cbor):
    return World(in_cbor.ok)


def lasting(value):
    match value:
        case dict():
            return {name: "any" if name in FLEETING else lasting(inner) for name, inner in value.items()}
        case list():
            return [lasting(inner) for inner in value]
    return value


@pytest.mark.parametrize("operation", READING)
def test_both_encodings_are_told_the_same(in_json, in_cbor, world, operation):
    for make in CALLS[operation]:
        request = make(world)
        assert lasting(in_cbor.ok(operation, request)) == lasting(in_json.ok(operation, request))


@pytest.mark.parametrize("operation", ["CreateStream", "GetShardIterator", "PutRecord", "PutRecords"])
def test_both_encodings_are_refused_for_the_same_reason(in_json, in_cbor, world, operation):
    shape, base = model.input_of(operation), CALLS[operation][0](world)
    for breach in model.breaches(shape):
        request = breach.of(base, shape)
        assert in_cbor.refused(operation, request) == in_json.refused(operation, request), breach


def records(asked, world, name):
    """All of a stream of one shard."""
    found, iterator = [], world.iterator(name)
    while True:
        answer = asked.ok("GetRecords", {"ShardIterator": iterator})
        found += answer["Records"]
        if not answer["MillisBehindLatest"]:
            return found
        iterator = answer["NextShardIterator"]


def test_what_one_encoding_puts_the_other_reads(in_json, in_cbor, world):
    name = world.stream(shards=1)
    data = [b"", b"\0\xff", "a text \u00e9".encode(), bytes(range(256)) * 300]
    for putter in (in_json, in_cbor):
        entries = [{"Data": base64.b64encode(one).decode(), "PartitionKey": "k\u00e9y"} for one in data]
        assert putter.ok("PutRecords", {"StreamName": name, "Records": entries})["FailedRecordCount"] == 0
    read = records(in_cbor, world, name)
    assert read == records(in_json, world, name)
    assert [base64.b64decode(record["Data"]) for record in read] == data * 2
    assert {record["PartitionKey"] for record in read} == {"k\u00e9y"}


def test_times_are_milliseconds_both_ways(in_cbor, world):
    name = world.stream(shards=1)
    world.put(name)
    first = records(in_cbor, world, name)[0]["ApproximateArrivalTimestamp"]
    while (last := records(in_cbor, world, name)[-1])["ApproximateArrivalTimestamp"] == first:
        world.put(name)
    body = {
        "StreamName": name, "ShardId": FIRST_SHARD, "ShardIteratorType": "AT_TIMESTAMP",
        "Timestamp": Tag(1, round(last["ApproximateArrivalTimestamp"] * 1000)),
    }
    iterator = cbor.decode(in_cbor.send("GetShardIterator", cbor.encode(body)).content)["ShardIterator"]
    answer = cbor.decode(in_cbor.send("GetRecords", cbor.encode({"ShardIterator": iterator})).content)
    assert answer["Records"][0]["SequenceNumber"] == last["SequenceNumber"]
    assert answer["Records"][0]["ApproximateArrivalTimestamp"] == body["Timestamp"]


def test_the_largest_put_comes_back(in_cbor, world):
    name = world.stream(shards=1)
    data = [bytes([n]) * ((1 << 20) - 1) for n in range(10)]
    entries = [{"Data": one, "PartitionKey": "k"} for one in data]
    answer = in_cbor.send("PutRecords", cbor.encode({"StreamName": name, "Records": entries}, definite=True))
    assert (answer.status_code, cbor.decode(answer.content)["FailedRecordCount"]) == (200, 0)
    assert [base64.b64decode(record["Data"]) for record in records(in_cbor, world, name)] == data
    entries.append({"Data": b"", "PartitionKey": "k"})
    answer = in_cbor.send("PutRecords", cbor.encode({"StreamName": name, "Records": entries}))
    assert cbor.decode(answer.content)["__type"] == "InvalidArgumentException"


def error(answer):
    body = cbor.decode(answer.content)
    kind = body["__type"]
    assert answer.headers["x-amzn-ErrorType"] == kind
    return answer.status_code, kind, body["Message" if kind == "SerializationException" else "message"]


def test_a_body_that_is_too_large_is_refused(in_cbor):
    status, kind, message = error(in_cbor.send("PutRecord", cbor.encode({"Data": bytes(14 << 20)})))
    assert (status, kind) == (413, "RequestEntityTooLargeException") and str(14 << 20) in message


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"", "end of input"),
        (b"{}", "invalid type: string"),
        (cbor.encode({"StreamName": "s"})[:-1], "end of input"),
        (cbor.encode({"StreamName": "s"}) + b"\0", "1 bytes follow the value"),
        (b"\xa1\x61x" + b"\x9f" * (1 << 20), "nested deeper than 128"),
        (b"\xa1\x67Records\x9b" + b"\xff" * 8, "end of input"),
        (cbor.encode({"StreamName": b"s"}), "expected a string"),
        (cbor.encode({"Records": [{"Data": "ZGF0YQ=="}]}), "expected bytes"),
        (cbor.encode([]), "array"),
    ],
    ids=["empty", "json", "cut", "longer", "deep", "huge", "bytes-as-text", "text-as-bytes", "list"],
)
def test_a_body_that_is_no_request_is_refused(in_cbor, body, reason):
    status, kind, message = error(in_cbor.send("PutRecords", body))
    assert (status, kind, reason in message) == (400, "SerializationException", True), message


def test_a_name_that_is_not_the_nodes_is_refused(in_cbor):
    status, kind, message = error(in_cbor.send("ListStreams", cbor.encode({}), Host="evil.example:4567"))
    assert (status, kind, "evil.example" in message) == (403, "AccessDeniedException", True)


def test_with_access_keys_what_is_not_rightly_signed_is_refused(tmp_path):
    keys = tmp_path / "keys.yaml"
    keys.write_text('AKID: { secret: right, account: "123456789012" }\n')
    keys.chmod(0o600)
    node = Node(tmp_path, options=["--credentials", keys])
    assert Asked(node, Cbor, ("AKID", "right")).ok("ListStreams", {})["StreamNames"] == []
    for credentials, expected in [
        (None, "MissingAuthenticationTokenException"),
        (("AKID", "wrong"), "InvalidSignatureException"),
        (("OTHER", "right"), "UnrecognizedClientException"),
    ]:
        status, kind, _ = error(Asked(node, Cbor, credentials).raw("ListStreams", {}))
        assert (status, kind) == (400, expected)
    node.stop()
