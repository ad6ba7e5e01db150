"""The node as boto3 sees it: what works, and the error of each bad input with nothing lost."""

import datetime
import hashlib
import json
import urllib.error
import urllib.request

import boto3
import botocore.exceptions
import pytest

from conftest import Node

MEBIBYTE = 1 << 20


def code_of(call, *args, **kwargs):
    """The error code that a call ends with."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"]


def read_all(kinesis, stream, **start):
    """Every record of every shard."""
    records = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        start = start or {"ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard["ShardId"], **start)["ShardIterator"]
        while True:
            page = kinesis.get_records(ShardIterator=iterator, Limit=100)
            records += page["Records"]
            iterator = page["NextShardIterator"]
            if page["MillisBehindLatest"] == 0 and not page["Records"]:
                break
    return records


def test_a_stream_is_created_described_listed_and_deleted(kinesis):
    assert code_of(kinesis.describe_stream, StreamName="orders") == "ResourceNotFoundException"
    kinesis.create_stream(StreamName="orders", ShardCount=3)
    kinesis.get_waiter("stream_exists").wait(StreamName="orders")
    assert code_of(kinesis.create_stream, StreamName="orders", ShardCount=3) == "ResourceInUseException"
    described = kinesis.describe_stream(StreamName="orders")["StreamDescription"]
    assert described["StreamStatus"] == "ACTIVE"
    assert described["StreamARN"] == "arn:aws:kinesis:eu-central-1:123456789012:stream/orders"
    assert described["RetentionPeriodHours"] == 24
    ranges = [shard["HashKeyRange"] for shard in described["Shards"]]
    assert int(ranges[0]["StartingHashKey"]) == 0
    assert int(ranges[-1]["EndingHashKey"]) == 2**128 - 1
    for before, after in zip(ranges, ranges[1:]):
        assert int(before["EndingHashKey"]) + 1 == int(after["StartingHashKey"])
    summary = kinesis.describe_stream_summary(StreamARN=described["StreamARN"])["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 3
    assert isinstance(summary["StreamCreationTimestamp"], datetime.datetime)
    assert "orders" in kinesis.list_streams()["StreamNames"]
    kinesis.delete_stream(StreamName="orders")
    kinesis.get_waiter("stream_not_exists").wait(StreamName="orders")
    assert "orders" not in kinesis.list_streams()["StreamNames"]


def test_records_go_where_their_md5_says_and_come_back_in_order(kinesis, stream):
    shards = kinesis.list_shards(StreamName=stream)["Shards"]
    sent = [{"Data": f"record {n}".encode(), "PartitionKey": f"key {n % 7}"} for n in range(500)]
    answer = kinesis.put_records(StreamName=stream, Records=sent)
    assert answer["FailedRecordCount"] == 0 and len(answer["Records"]) == 500
    for given, placed in zip(sent, answer["Records"]):
        hash_key = int(hashlib.md5(given["PartitionKey"].encode()).hexdigest(), 16)
        shard = next(shard for shard in shards if shard["ShardId"] == placed["ShardId"])
        assert int(shard["HashKeyRange"]["StartingHashKey"]) <= hash_key <= int(shard["HashKeyRange"]["EndingHashKey"])
        assert len(placed["SequenceNumber"]) == 56
    records = read_all(kinesis, stream)
    assert sorted(record["Data"] for record in records) == sorted(given["Data"] for given in sent)
    for key in {given["PartitionKey"] for given in sent}:
        read = [record["Data"] for record in records if record["PartitionKey"] == key]
        assert read == [given["Data"] for given in sent if given["PartitionKey"] == key]
    numbers = {placed["SequenceNumber"] for placed in answer["Records"]}
    assert numbers == {record["SequenceNumber"] for record in records}


def read_along(kinesis, stream):
    """Every record, as a consumer reads that follows ChildShards and finishes parents before children."""
    records, parents_of, done = [], {}, set()
    for shard in kinesis.list_shards(StreamName=stream, ShardFilter={"Type": "AT_TRIM_HORIZON"})["Shards"]:
        parents_of[shard["ShardId"]] = []
    while parents_of:
        shard = next(shard for shard, parents in parents_of.items() if done.issuperset(parents))
        place = {"StreamName": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**place)["ShardIterator"]
        while iterator:
            page = kinesis.get_records(ShardIterator=iterator, Limit=7)
            records += page["Records"]
            iterator = page.get("NextShardIterator")
            if not page["Records"] and iterator:
                break  # the tip of an open shard
            for child in page.get("ChildShards", []):
                parents_of[child["ShardId"]] = child["ParentShards"]
        done.add(shard)
        del parents_of[shard]
    return records


def test_shards_are_split_merged_and_counted_and_keys_keep_their_order(kinesis, stream):
    number = 0

    def put():
        nonlocal number
        entries = [{"Data": str(number + n).encode(), "PartitionKey": f"key {(number + n) % 7}"} for n in range(50)]
        answer = kinesis.put_records(StreamName=stream, Records=entries)
        assert answer["FailedRecordCount"] == 0
        number += 50

    first, second = "shardId-000000000000", "shardId-000000000001"
    put()
    kinesis.split_shard(StreamName=stream, ShardToSplit=first, NewStartingHashKey=str(2**125))
    kinesis.get_waiter("stream_exists").wait(StreamName=stream)
    put()
    kinesis.merge_shards(StreamName=stream, ShardToMerge="shardId-000000000003", AdjacentShardToMerge=second)
    put()
    answer = kinesis.update_shard_count(StreamName=stream, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (2, 4)
    put()
    shards = {shard["ShardId"]: shard for shard in kinesis.list_shards(StreamName=stream)["Shards"]}
    open_shards = [shard for shard in shards.values() if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
    assert len(open_shards) == 4
    merged = shards["shardId-000000000004"]
    assert (merged["ParentShardId"], merged["AdjacentParentShardId"]) == ("shardId-000000000003", second)
    for shard in shards.values():
        for parent in (shard.get("ParentShardId"), shard.get("AdjacentParentShardId")):
            if parent:
                ending = shards[parent]["SequenceNumberRange"]["EndingSequenceNumber"]
                assert int(ending) < int(shard["SequenceNumberRange"]["StartingSequenceNumber"])
    records = read_along(kinesis, stream)
    assert sorted(int(record["Data"]) for record in records) == list(range(number))
    for key in range(7):
        read = [int(record["Data"]) for record in records if record["PartitionKey"] == f"key {key}"]
        assert read == sorted(read)


def test_what_cannot_be_resharded_is_refused(kinesis, stream):
    first, second = "shardId-000000000000", "shardId-000000000001"
    split = lambda shard, at: code_of(kinesis.split_shard, StreamName=stream, ShardToSplit=shard, NewStartingHashKey=at)
    assert split(first, "0") == "InvalidArgumentException"
    assert split(first, str(2**128 - 1)) == "InvalidArgumentException"
    assert split("shardId-000000000009", "9") == "ResourceNotFoundException"
    merge = {"StreamName": stream, "ShardToMerge": second, "AdjacentShardToMerge": first}
    assert code_of(kinesis.merge_shards, **merge) == "InvalidArgumentException"
    count = {"StreamName": stream, "ScalingType": "UNIFORM_SCALING"}
    assert code_of(kinesis.update_shard_count, TargetShardCount=5, **count) == "LimitExceededException"
    assert code_of(kinesis.update_shard_count, **{**count, "StreamName": "nowhere"}, TargetShardCount=2) == (
        "ResourceNotFoundException"
    )
    kinesis.merge_shards(StreamName=stream, ShardToMerge=first, AdjacentShardToMerge=second)
    assert split(first, "9") == "InvalidArgumentException"
    kinesis.create_stream(StreamName=f"{stream}-on-demand", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    on_demand = {**count, "StreamName": f"{stream}-on-demand", "TargetShardCount": 5}
    assert code_of(kinesis.update_shard_count, **on_demand) == "ValidationException"


def test_an_explicit_hash_key_decides_the_shard(kinesis, stream):
    put = lambda key: kinesis.put_record(StreamName=stream, Data=b"x", PartitionKey="same", ExplicitHashKey=str(key))
    assert put(0)["ShardId"] == "shardId-000000000000"
    assert put(2**128 - 1)["ShardId"] == "shardId-000000000001"


def test_the_five_positions(kinesis, stream):
    put = lambda data: kinesis.put_record(StreamName=stream, Data=data, PartitionKey="k")
    first, second = put(b"1"), put(b"2")
    shard = first["ShardId"]

    def read(**start):
        iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **start)["ShardIterator"]
        return [record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]]

    latest = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    put(b"3")
    assert read(ShardIteratorType="TRIM_HORIZON") == [b"1", b"2", b"3"]
    at = {"StartingSequenceNumber": second["SequenceNumber"]}
    assert read(ShardIteratorType="AT_SEQUENCE_NUMBER", **at) == [b"2", b"3"]
    assert read(ShardIteratorType="AFTER_SEQUENCE_NUMBER", **at) == [b"3"]
    assert read(ShardIteratorType="AT_TIMESTAMP", Timestamp=datetime.datetime(2020, 1, 1)) == [b"1", b"2", b"3"]
    assert [record["Data"] for record in kinesis.get_records(ShardIterator=latest)["Records"]] == [b"3"]


def test_bad_input_is_refused_and_nothing_is_kept_of_it(kinesis, stream):
    record = {"Data": b"x", "PartitionKey": "k"}
    put, put_all = kinesis.put_record, kinesis.put_records
    assert code_of(put_all, StreamName=stream, Records=[record] * 501) == "ValidationException"
    assert code_of(put_all, StreamName=stream, Records=[]) == "ValidationException"
    assert code_of(put, StreamName=stream, Data=b"x", PartitionKey="") == "ValidationException"
    assert code_of(put, StreamName=stream, Data=b"x", PartitionKey="k" * 257) == "ValidationException"
    too_large = code_of(put, StreamName=stream, Data=b"x" * (MEBIBYTE + 1), PartitionKey="k")
    assert too_large in ("ValidationException", "InvalidArgumentException")
    assert code_of(put, StreamName="nowhere", Data=b"x", PartitionKey="k") == "ResourceNotFoundException"
    assert code_of(put, StreamName="no stream!", Data=b"x", PartitionKey="k") == "ValidationException"
    too_many_bytes = [{"Data": b"x" * (MEBIBYTE * 9 // 10), "PartitionKey": "k"}] * 13
    assert code_of(put_all, StreamName=stream, Records=too_many_bytes)
    assert code_of(kinesis.get_records, ShardIterator="forged") == "InvalidArgumentException"
    shard = {"StreamName": stream, "ShardId": "shardId-000000000009"}
    assert code_of(kinesis.get_shard_iterator, ShardIteratorType="LATEST", **shard) == "ResourceNotFoundException"
    assert read_all(kinesis, stream) == []


def test_the_variables_of_the_documentation_point_an_sdk_at_the_node(node, stream, monkeypatch):
    variables = {
        "AWS_ENDPOINT_URL_KINESIS": node.url,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    summary = boto3.session.Session().client("kinesis").describe_stream_summary(StreamName=stream)
    assert summary["StreamDescriptionSummary"]["StreamARN"] == f"arn:aws:kinesis:us-east-1:000000000000:stream/{stream}"


def send(node, body, target="Kinesis_20131202.PutRecord"):
    """A request by hand: its status and its answer."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    request = urllib.request.Request(node.url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_requests_that_no_sdk_sends(node, kinesis, stream):
    body = {"StreamName": stream, "PartitionKey": "k", "Data": "aGVsbG8="}
    assert send(node, json.dumps(body).encode())[0] == 200
    broken_base64 = json.dumps(body | {"Data": "a!"}).encode()
    for bad in [broken_base64, b"{", b"[]", b"", b"\xff", json.dumps(body | {"StreamName": 7}).encode()]:
        status, answer = send(node, bad)
        assert (status, answer["__type"]) in [(400, "SerializationException"), (400, "ValidationException")], bad
    assert send(node, b"{}", "Kinesis_20131202.Nothing")[1]["__type"] == "UnknownOperationException"
    assert len(read_all(kinesis, stream)) == 1


def test_what_was_put_is_there_after_kill_and_restart(tmp_path):
    node = Node(tmp_path)
    kinesis = node.client()
    kinesis.create_stream(StreamName="s", ShardCount=1)
    number = kinesis.put_record(StreamName="s", Data=b"kept", PartitionKey="k")["SequenceNumber"]
    at = {"ShardIteratorType": "TRIM_HORIZON", "StreamName": "s", "ShardId": "shardId-000000000000"}
    iterator = kinesis.get_shard_iterator(**at)["ShardIterator"]
    node.kill()
    node = Node(tmp_path)
    kinesis = node.client()
    records = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert [(record["Data"], record["SequenceNumber"]) for record in records] == [(b"kept", number)]
    node.stop()


def test_a_clean_stop_leaves_no_more_on_disk_than_was_put(tmp_path):
    node = Node(tmp_path)
    kinesis = node.client()
    kinesis.create_stream(StreamName="s", ShardCount=1)
    kinesis.put_record(StreamName="s", Data=b"x" * 1000, PartitionKey="k")
    segments = lambda: [path.stat().st_size for path in (tmp_path / "data" / "logs").glob("*/*.seg")]
    assert sum(segments()) >= MEBIBYTE
    node.stop()
    assert sum(segments()) < MEBIBYTE / 16


def test_a_retention_is_increased_and_decreased(kinesis, stream):
    hours = lambda: kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["RetentionPeriodHours"]
    for change, to in [
        (kinesis.increase_stream_retention_period, 48),
        (kinesis.increase_stream_retention_period, 48),
        (kinesis.decrease_stream_retention_period, 24),
    ]:
        change(StreamName=stream, RetentionPeriodHours=to)
        assert hours() == to
    for change, to in [
        (kinesis.increase_stream_retention_period, 23),
        (kinesis.decrease_stream_retention_period, 48),
        (kinesis.increase_stream_retention_period, 8761),
    ]:
        with pytest.raises(kinesis.exceptions.InvalidArgumentException):
            change(StreamName=stream, RetentionPeriodHours=to)
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.increase_stream_retention_period(StreamName="none", RetentionPeriodHours=48)
    assert hours() == 24
