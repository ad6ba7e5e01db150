"""The Kinesis Client Library: two workers share the shards of a stream that is split twice and merged meanwhile."""

import collections
import concurrent.futures
import logging
import threading

import boto3
import clients
import kcl
import moto.server
import pytest
from conftest import Node
from test_client_docs import programs

VARIABLES = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}
KEYS = [f"key-{number}" for number in range(100)]
PAUSE_S = 0.2
FIRST, SECOND, *CHILDREN, MERGED = [f"shardId-{number:012}" for number in range(7)]

# What each asks of the node, and the other does not.
ASKS = {"POLLING": {"GetRecords", "GetShardIterator"}, "FANOUT": {"RegisterStreamConsumer", "SubscribeToShard"}}


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path, options=clients.LOG)
    yield node
    node.kill()


@pytest.fixture(scope="module")
def dynamodb():
    """Where the library keeps its leases."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = moto.server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    yield boto3.client(
        "dynamodb", endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
    )
    server.stop()


@pytest.fixture
def fleet(mode, node, dynamodb, tmp_path):
    """An application as the page on clients has it, in this mode."""
    (page,) = programs("properties", node)
    assert "http://127.0.0.1:8000" in page
    page = page.replace("http://127.0.0.1:8000", dynamodb.meta.endpoint_url)
    fleet = kcl.Fleet(tmp_path, f"{page}applicationName = {mode}\nretrievalMode = {mode}\n", VARIABLES)
    yield fleet
    fleet.kill()


class Producer:
    """Puts a record of every key, again and again: the number of the time is the record's data."""

    def __init__(self, kinesis):
        self.kinesis, self.put = kinesis, []
        self.enough, self.pool = threading.Event(), concurrent.futures.ThreadPoolExecutor(1)

    def __enter__(self):
        self.running = self.pool.submit(self.run)
        return self

    def __exit__(self, *_):
        self.enough.set()
        self.pool.shutdown()
        self.running.result()

    def run(self):
        number = 0
        while not self.enough.wait(PAUSE_S):
            records = [{"PartitionKey": key, "Data": str(number).encode()} for key in KEYS]
            results = self.kinesis.put_records(StreamName="orders", Records=records)["Records"]
            places = [(result["ShardId"], result["SequenceNumber"]) for result in results]
            self.put += [(*place, key, number) for place, key in zip(places, KEYS)]
            number += 1

    def check(self):
        """It goes on, or it has done all that it should."""
        if self.running.done():
            self.running.result()


def split(kinesis, shard):
    (ranges,) = [found["HashKeyRange"] for found in listed(kinesis) if found["ShardId"] == shard]
    middle = (int(ranges["StartingHashKey"]) + int(ranges["EndingHashKey"])) // 2
    kinesis.split_shard(StreamName="orders", ShardToSplit=shard, NewStartingHashKey=str(middle))


def listed(kinesis):
    return kinesis.list_shards(StreamName="orders")["Shards"]


def closed(shards):
    return {shard["ShardId"] for shard in shards if "EndingSequenceNumber" in shard["SequenceNumberRange"]}


def records(events):
    """The records among these events as they were put, each where it was first processed."""
    found = [event for event in events if event["event"] == "record"]
    return list(dict.fromkeys((event["shard"], event["sequence"], event["key"], event["number"]) for event in found))


def workers(events):
    return {event["worker"] for event in events if event["event"] == "record"}


def shards_of(events):
    return {event["shard"] for event in events if event["event"] == "record"}


def last(put):
    """The sequence number of the last record of each shard."""
    return {shard: sequence for shard, sequence, *_ in put}


def is_done(events, put, shards):
    """Every record is processed, and every shard's end has its checkpoint."""
    kept = [event for event in events if event["event"] == "checkpoint" and event["error"] is None]
    ended = {event["shard"] for event in kept if event["behind"] == "shardEnded"}
    places = {(event["shard"], event["sequence"]) for event in kept}
    still_open = {place for place in last(put).items() if place[0] not in closed(shards)}
    return ended >= closed(shards) and places >= still_open and len(records(events)) >= len(put)


def check_events(events, put, shards):
    """Nothing is missing or made up, each key has its order, and each shard begins when its parents have ended."""
    processed = records(events)
    assert sorted(processed) == sorted(put)
    numbers = collections.defaultdict(list)
    for _, _, key, number in processed:
        numbers[key].append(number)
    assert numbers == {key: list(range(len(put) // len(KEYS))) for key in KEYS}
    place = {}
    for at, event in enumerate(events):
        place.setdefault((event["shard"], event["event"]), at)
    assert {shard for shard, event in place if event == "shardEnded"} == closed(shards)
    for shard in closed(shards):
        before = records(events[: place[shard, "shardEnded"]])
        assert [record for record in before if record[0] == shard] == [record for record in put if record[0] == shard]
    for shard in shards:
        for parent in [shard.get("ParentShardId"), shard.get("AdjacentParentShardId")]:
            assert parent is None or place[parent, "shardEnded"] < place[shard["ShardId"], "record"], (parent, shard)


def check_leases(dynamodb, table, put, shards):
    """Each open shard has a worker and a checkpoint behind its last record; one that is closed is at its end."""
    leases = {item["leaseKey"]["S"]: item for item in dynamodb.scan(TableName=table)["Items"]}
    places = last(put) | {shard: "SHARD_END" for shard in closed(shards)}
    # The leases of closed shards go after some minutes.
    leases = {shard: {"checkpoint": {"S": "SHARD_END"}} for shard in closed(shards)} | leases
    assert {shard: lease["checkpoint"]["S"] for shard, lease in leases.items()} == places
    owners = {lease["leaseOwner"]["S"] for shard, lease in leases.items() if shard not in closed(shards)}
    assert owners <= {"one", "two"}


def check_requests(asked, mode):
    """The library asked in this mode and in no other, over HTTP/2, and nothing failed in the node."""
    asked = [event for event in asked if event["user_agent"].startswith("aws-sdk-java/2")]
    other = ASKS["FANOUT" if mode == "POLLING" else "POLLING"]
    operations = {event["operation"] for event in asked}
    assert operations >= ASKS[mode] and not operations & other, operations
    assert all(event["http_version"] == "HTTP/2.0" and event["status"] < 500 for event in asked)


@pytest.mark.parametrize("mode", ASKS)
def test_two_workers_process_each_key_in_order_through_splits_and_a_merge(mode, node, dynamodb, fleet):
    kinesis = node.client(region="us-east-1")
    kinesis.create_stream(StreamName="orders", ShardCount=2)
    with Producer(kinesis) as producer:

        def wait(what, is_so):
            fleet.wait(what, is_so, producer.check)

        def wait_for_records(*shards):
            wait(f"records of {shards}", lambda events: shards_of(events) >= {*shards})

        # One after the other: who seeks the leadership at the same moment as another waits for half a minute.
        fleet.add("one")
        wait_for_records(FIRST, SECOND)
        fleet.add("two")
        split(kinesis, FIRST)
        wait_for_records(*CHILDREN[:2])
        wait("both workers", lambda events: workers(events) == {"one", "two"})
        split(kinesis, SECOND)
        wait_for_records(*CHILDREN)
        kinesis.merge_shards(StreamName="orders", ShardToMerge=CHILDREN[1], AdjacentShardToMerge=CHILDREN[2])
        wait_for_records(MERGED)
    put, shards = producer.put, listed(kinesis)
    wait("the end", lambda events: is_done(events, put, shards))
    check_leases(dynamodb, mode, put, shards)
    fleet.kill()
    fleet.look()
    check_events(fleet.events, put, shards)
    node.stop()
    check_requests(clients.requests(node), mode)
