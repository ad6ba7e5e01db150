"""`SubscribeToShard` as boto3 sees it: the records of a shard, pushed as they come."""

import threading
import time

import botocore.exceptions
import pytest
import urllib3.exceptions

from conftest import Node

SHARD = "shardId-000000000000"
# Records of one put, so that an event has more than one.
BATCH = 5


@pytest.fixture
def consumer(kinesis, stream):
    return register(kinesis, stream)


def register(kinesis, stream, name="c"):
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    return kinesis.register_stream_consumer(StreamARN=arn, ConsumerName=name)["Consumer"]["ConsumerARN"]


def put(kinesis, stream, numbers):
    records = [{"Data": str(number).encode(), "PartitionKey": "k", "ExplicitHashKey": "0"} for number in numbers]
    assert kinesis.put_records(StreamName=stream, Records=records)["FailedRecordCount"] == 0


def subscribe(kinesis, consumer, shard=SHARD, **position):
    """An open subscription's events. Who comes too soon after another waits for his turn."""
    while True:
        try:
            answer = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=shard, StartingPosition=position)
            return (event["SubscribeToShardEvent"] for event in answer["EventStream"])
        except kinesis.exceptions.ResourceInUseException:
            time.sleep(0.1)


def read(events, count):
    """So many records, and the number to go on after."""
    records = []
    for event in events:
        assert event["MillisBehindLatest"] >= 0 and "ChildShards" not in event
        records += event["Records"]
        if len(records) >= count:
            break
    assert len(records) == count
    assert event["ContinuationSequenceNumber"] == records[-1]["SequenceNumber"]
    return [int(record["Data"]) for record in records], event["ContinuationSequenceNumber"]


def code_of(events, meanwhile=lambda: None):
    """The error that ends a subscription."""
    with pytest.raises(botocore.exceptions.EventStreamError) as caught:
        for _ in events:
            meanwhile()
    return caught.value.response["Error"]["Code"]


def test_records_come_in_order_and_another_subscription_goes_on_behind_them(kinesis, stream, consumer):
    put(kinesis, stream, range(30))
    events = subscribe(kinesis, consumer, Type="TRIM_HORIZON")
    assert read(events, 30)[0] == list(range(30))
    put(kinesis, stream, range(30, 40))
    numbers, after = read(events, 10)
    assert numbers == list(range(30, 40))
    events.close()
    put(kinesis, stream, range(40, 45))
    again = subscribe(kinesis, consumer, Type="AFTER_SEQUENCE_NUMBER", SequenceNumber=after)
    assert read(again, 5)[0] == list(range(40, 45))


def test_who_begins_at_the_latest_goes_on_behind_nothing_and_is_told_that_nothing_comes(kinesis, stream, consumer):
    put(kinesis, stream, range(3))
    events = subscribe(kinesis, consumer, Type="LATEST")
    first, second = next(events), next(events)
    assert (first["Records"], second["Records"], second["MillisBehindLatest"]) == ([], [], 0)
    events.close()
    put(kinesis, stream, range(3, 5))
    after = second["ContinuationSequenceNumber"]
    assert read(subscribe(kinesis, consumer, Type="AFTER_SEQUENCE_NUMBER", SequenceNumber=after), 2)[0] == [3, 4]


def test_the_end_of_a_shard_names_its_children_and_ends_the_subscription(kinesis, stream, consumer):
    put(kinesis, stream, range(5))
    waiting = subscribe(kinesis, consumer, Type="TRIM_HORIZON")
    assert read(waiting, 5)[0] == list(range(5))
    kinesis.split_shard(StreamName=stream, ShardToSplit=SHARD, NewStartingHashKey=str(2**126))
    *before, last = waiting
    assert all("ContinuationSequenceNumber" in event and not event["Records"] for event in before)
    assert "ContinuationSequenceNumber" not in last and last["Records"] == []
    children = {child["ShardId"]: child["ParentShards"] for child in last["ChildShards"]}
    assert children == {"shardId-000000000002": [SHARD], "shardId-000000000003": [SHARD]}
    # Who comes later gets all of it, and the same end.
    *before, last = subscribe(kinesis, consumer, Type="TRIM_HORIZON")
    assert [int(record["Data"]) for event in [*before, last] for record in event["Records"]] == list(range(5))
    assert len(last["ChildShards"]) == 2 and "ContinuationSequenceNumber" not in last


def test_a_consumer_has_one_subscription_and_another_takes_it_over(kinesis, stream, consumer):
    def once():
        return kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=SHARD, StartingPosition={"Type": "LATEST"})

    first = subscribe(kinesis, consumer, Type="LATEST")
    with pytest.raises(kinesis.exceptions.ResourceInUseException):
        once()
    # Another consumer, and another shard, are no matter.
    others = [
        subscribe(kinesis, register(kinesis, stream, "d"), Type="LATEST"),
        subscribe(kinesis, consumer, shard="shardId-000000000001", Type="LATEST"),
    ]
    second = subscribe(kinesis, consumer, Type="LATEST")
    assert code_of(first) == "ResourceInUseException"
    put(kinesis, stream, [1])
    assert read(second, 1)[0] == read(others[0], 1)[0] == [1]


def test_a_stream_or_a_consumer_that_goes_ends_its_subscriptions(kinesis, stream, consumer):
    other = register(kinesis, stream, "other")
    of_consumer, of_stream = subscribe(kinesis, consumer, Type="LATEST"), subscribe(kinesis, other, Type="LATEST")
    kinesis.deregister_stream_consumer(ConsumerARN=consumer)
    # It is noticed on a busy shard too, where no event is due without records.
    assert code_of(of_consumer, lambda: put(kinesis, stream, [1])) == "ResourceNotFoundException"
    kinesis.delete_stream(StreamName=stream, EnforceConsumerDeletion=True)
    assert code_of(of_stream) == "ResourceNotFoundException"


def test_as_many_consumers_as_a_stream_has_get_every_record(kinesis, stream):
    consumers = [register(kinesis, stream, f"c{number}") for number in range(20)]
    subscriptions = [subscribe(kinesis, consumer, Type="TRIM_HORIZON") for consumer in consumers]
    put(kinesis, stream, range(200))
    for events in subscriptions:
        assert read(events, 200)[0] == list(range(200))


def test_a_node_that_stops_ends_subscriptions_in_good_order(tmp_path):
    node = Node(tmp_path, "streams:\n  s: {}\n")
    kinesis = node.client()
    events = subscribe(kinesis, register(kinesis, "s"), Type="TRIM_HORIZON")
    next(events)
    node.stop()
    assert all(event["Records"] == [] for event in events)


def test_who_reconnects_where_he_was_when_the_node_was_killed_misses_nothing_and_gets_nothing_twice(tmp_path):
    node = Node(tmp_path, "streams:\n  s: {}\n")
    consumer = register(node.client(), "s")
    acknowledged, pushed, position = [], [], {"Type": "TRIM_HORIZON"}

    def produce(kinesis):
        """Until the node is gone: what it has not answered may be there, or not."""
        try:
            while True:
                numbers = [str(len(acknowledged) + number).encode() for number in range(BATCH)]
                put = kinesis.put_records(StreamName="s", Records=[{"PartitionKey": "k", "Data": number} for number in numbers])
                acknowledged.extend((record["SequenceNumber"], number) for record, number in zip(put["Records"], numbers))
        except botocore.exceptions.BotoCoreError:
            pass

    for _ in range(4):
        producer = threading.Thread(target=produce, args=[node.client()])
        producer.start()
        enough = len(pushed) + 100
        try:
            for event in subscribe(node.client(), consumer, **position):
                pushed += [(record["SequenceNumber"], record["Data"]) for record in event["Records"]]
                after = event["ContinuationSequenceNumber"]
                position = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
                if len(pushed) >= enough and node.process.poll() is None:
                    node.kill()
        except (botocore.exceptions.BotoCoreError, urllib3.exceptions.HTTPError):
            pass  # the connection broke, somewhere
        producer.join()
        node = Node(tmp_path, "streams:\n  s: {}\n")
    last = acknowledged[-1]
    events = subscribe(node.client(), consumer, **position)
    while last not in pushed:
        pushed += [(record["SequenceNumber"], record["Data"]) for record in next(events)["Records"]]
    numbers = [int(sequence) for sequence, _ in pushed]
    assert numbers == sorted(set(numbers))
    known = set(pushed)
    assert [record for record in acknowledged if record not in known] == []
    # At most the put that each kill cut short.
    assert len(pushed) - len(acknowledged) <= 4 * BATCH
    node.stop()
