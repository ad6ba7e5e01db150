"""What hangs on streams and what their owners set, on a real disk."""

import pytest

from conftest import Node


def arn_of(kinesis, name):
    return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]


def all_of(kinesis, name):
    """All that can be set of a stream, as it is told."""
    arn = arn_of(kinesis, name)
    consumers = kinesis.get_paginator("list_stream_consumers").paginate(StreamARN=arn, PaginationConfig={"PageSize": 2})
    consumers = [consumer for page in consumers for consumer in page["Consumers"]]
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    return {
        "tags": kinesis.list_tags_for_stream(StreamName=name)["Tags"],
        "policy": kinesis.get_resource_policy(ResourceARN=arn)["Policy"],
        "consumers": consumers,
        "tags of consumers": [kinesis.list_tags_for_resource(ResourceARN=one["ConsumerARN"])["Tags"] for one in consumers],
        "settings": [summary[member] for member in ("EnhancedMonitoring", "MaxRecordSizeInKiB", "ConsumerCount")],
        "account": kinesis.describe_account_settings()["MinimumThroughputBillingCommitment"],
    }


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    node = Node(tmp_path)
    kinesis = node.client()
    kinesis.create_stream(StreamName="s", ShardCount=1, Tags={"first": "1"}, MaxRecordSizeInKiB=2048)
    kinesis.create_stream(StreamName="gone", ShardCount=1, Tags={"of": "gone"})
    kinesis.add_tags_to_stream(StreamName="s", Tags={"second": "2"})
    arn = arn_of(kinesis, "s")
    for n in range(5):
        kinesis.register_stream_consumer(StreamARN=arn, ConsumerName=f"c{n}", Tags={"number": str(n)})
    kinesis.deregister_stream_consumer(StreamARN=arn, ConsumerName="c0")
    kinesis.put_resource_policy(ResourceARN=arn, Policy='{"Version": "2012-10-17"}')
    kinesis.enable_enhanced_monitoring(StreamName="s", ShardLevelMetrics=["ALL"])
    kinesis.update_account_settings(MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    kinesis.delete_stream(StreamName="gone")
    before = all_of(kinesis, "s")
    assert [one["ConsumerName"] for one in before["consumers"]] == ["c1", "c2", "c3", "c4"]
    assert before["tags"] == [{"Key": "first", "Value": "1"}, {"Key": "second", "Value": "2"}]
    node.kill()
    node = Node(tmp_path)
    kinesis = node.client()
    assert all_of(kinesis, "s") == before
    kinesis.create_stream(StreamName="gone", ShardCount=1)
    assert kinesis.list_tags_for_stream(StreamName="gone")["Tags"] == []
    node.stop()


@pytest.mark.parametrize("kib", [1024, 10240])
def test_the_largest_record_of_a_stream_comes_back_also_from_the_disk(tmp_path, kib):
    node = Node(tmp_path)
    kinesis = node.client()
    kinesis.create_stream(StreamName="s", ShardCount=1, MaxRecordSizeInKiB=kib)
    data = bytes(range(256)) * (kib * 4)
    data = data[1:]
    kinesis.put_record(StreamName="s", PartitionKey="k", Data=data)
    with pytest.raises(kinesis.exceptions.InvalidArgumentException):
        kinesis.put_record(StreamName="s", PartitionKey="kk", Data=data)
    kinesis.put_record(StreamName="s", PartitionKey="k", Data=b"behind")
    node.kill()
    node = Node(tmp_path)
    kinesis = node.client()
    start = {"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator, read = kinesis.get_shard_iterator(**start)["ShardIterator"], []
    while len(read) < 2:
        page = kinesis.get_records(ShardIterator=iterator)
        assert page["Records"], "a record is missing"
        read += [record["Data"] for record in page["Records"]]
        iterator = page["NextShardIterator"]
    assert read == [data, b"behind"]
    node.stop()
