"""Records that another aggregator packed, as every client reads them and as a function gets them."""

import json
import re
import subprocess
import urllib.request

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from conftest import REPOSITORY, Node

RECORD = re.compile(r"record key=(\S+) seq=(\d+) data=(.*)")
PUT = [("alice", b"one"), ("bob", b"two"), ("alice", b"three"), ("zo\u00eb", b"four")]
MANIFEST = """
streams: {{ orders: {{ shards: 1 }}, raw: {{ shards: 1 }} }}
functions:
  taken: {{ path: {wasm} }}
  given: {{ path: {wasm} }}
triggers:
  - {{ name: taken, stream: orders, function: taken, start: trim-horizon, batch_size: 3 }}
  - {{ name: given, stream: raw, function: given, start: trim-horizon, semantics: lambda }}
"""


@pytest.fixture(scope="module")
def recorder():
    """A function that logs each record."""
    target = REPOSITORY / "target" / "guests"
    build = ["cargo", "build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir", target]
    subprocess.run(build, cwd=REPOSITORY / "tests" / "functions" / "recorder", check=True)
    return target / "wasm32-wasip2" / "release" / "recorder.wasm"


@pytest.fixture
def node(tmp_path, recorder):
    node = Node(tmp_path, MANIFEST.format(wasm=recorder))
    yield node
    node.stop()


def lines(node, function, enough):
    """The function's lines, when there are enough of them: each request waits for one more."""
    found, last = [], 0
    while len(found) < enough:
        url = f"{node.url}/functions/{function}/log?after={last}&wait_ms=20000"
        with urllib.request.urlopen(url, timeout=60) as answer:
            page = json.load(answer)
        assert page["lines"], found
        found += [line["text"] for line in page["lines"]]
        last = page["last"]
    return found


def aggregate(records):
    aggregator = RecordAggregator()
    for key, data in records:
        aggregator.add_user_record(key, data)
    return aggregator.clear_and_get().get_contents()[2]


def test_a_function_gets_the_user_records_and_readers_what_was_put(node):
    kinesis, packed = node.client(key="000000000000", region="us-east-1"), aggregate(PUT)
    first = kinesis.put_record(StreamName="orders", PartitionKey="a", Data=packed)
    second = kinesis.put_record(StreamName="orders", PartitionKey="plain", Data=b"five")
    logged = [RECORD.fullmatch(line).groups() for line in lines(node, "taken", 5)]
    one, two = first["SequenceNumber"], second["SequenceNumber"]
    assert logged == [(key, one, data.decode()) for key, data in PUT] + [("plain", two, "five")]
    iterator = kinesis.get_shard_iterator(StreamName="orders", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
    read = kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert [record["Data"] for record in read] == [packed, b"five"]


def test_with_lambda_s_semantics_it_gets_what_was_put(node):
    kinesis = node.client(key="000000000000", region="us-east-1")
    kinesis.put_record(StreamName="raw", PartitionKey="a", Data=aggregate(PUT))
    # The function takes text only: it sees the aggregate's first bytes, which are none.
    assert "is not UTF-8 text" in lines(node, "given", 1)[0]
