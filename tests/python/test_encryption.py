"""Streams that are encrypted on the disk, as boto3 and whoever looks into the data folder see them."""

import base64
import os

import botocore.exceptions
import pytest

from conftest import Node

SECRET = b"the combination is 12345"
ALIAS = "alias/shop"
ARN = f"arn:aws:kms:eu-central-1:123456789012:{ALIAS}"


def keys(folder, **names):
    path = folder / "keys.yaml"
    lines = [f"{name.replace('_', '/')}: {base64.b64encode(key).decode()}\n" for name, key in names.items()]
    path.write_text("".join(lines))
    path.chmod(0o600)
    return ("--encryption-keys", path)


def code_of(call, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**kwargs)
    return caught.value.response["Error"]["Code"]


def holding(folder, text):
    """The files below the folder that hold these bytes."""
    return [path.name for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


def read(kinesis, stream):
    shard = kinesis.list_shards(StreamName=stream)["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    return kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]


def put(kinesis, stream, numbers):
    records = [{"Data": b"%s %d" % (SECRET, number), "PartitionKey": "key of Ann"} for number in numbers]
    return kinesis.put_records(StreamName=stream, Records=records)


def test_without_keys_nothing_is_encrypted(kinesis, stream):
    start = {"StreamName": stream, "EncryptionType": "KMS", "KeyId": ALIAS}
    assert code_of(kinesis.start_stream_encryption, **start) == "KMSNotFoundException"
    assert code_of(kinesis.stop_stream_encryption, **start) == "InvalidArgumentException"


def test_a_marked_record_is_nowhere_in_the_data_folder(tmp_path):
    options = keys(tmp_path, alias_shop=os.urandom(32))
    node = Node(tmp_path, options=options)
    kinesis, data = node.client(), tmp_path / "data"
    for name in ["secret", "open"]:
        kinesis.create_stream(StreamName=name, ShardCount=1)
    other = {"StreamName": "secret", "EncryptionType": "KMS", "KeyId": "alias/other"}
    assert code_of(kinesis.start_stream_encryption, **other) == "KMSNotFoundException"
    kinesis.start_stream_encryption(StreamName="secret", EncryptionType="KMS", KeyId=ARN)
    described = kinesis.describe_stream_summary(StreamName="secret")["StreamDescriptionSummary"]
    assert (described["EncryptionType"], described["KeyId"]) == ("KMS", ARN)
    assert kinesis.describe_stream(StreamName="secret")["StreamDescription"]["KeyId"] == ARN
    assert put(kinesis, "secret", range(500))["EncryptionType"] == "KMS"
    assert kinesis.put_record(StreamName="secret", Data=SECRET, PartitionKey="key of Bob")["EncryptionType"] == "KMS"
    kinesis.put_record(StreamName="open", Data=b"in the clear", PartitionKey="k")

    def check(when):
        assert holding(data, SECRET) == [] and holding(data, b"key of ") == [], when
        assert holding(data, b"in the clear") != [], "what is looked for is found"

    check("while it runs")
    node.kill()
    check("after a crash")
    node = Node(tmp_path, options=options)
    records = read(node.client(), "secret")
    assert [record["Data"] for record in records] == [b"%s %d" % (SECRET, n) for n in range(500)] + [SECRET]
    assert {record["EncryptionType"] for record in records} == {"KMS"}
    node.stop()
    check("after a stop")


def test_a_wrong_key_is_a_clear_error_and_loses_nothing(tmp_path):
    right, wrong = os.urandom(32), os.urandom(32)
    node = Node(tmp_path, options=keys(tmp_path, alias_shop=right))
    kinesis = node.client()
    kinesis.create_stream(StreamName="secret", ShardCount=1)
    kinesis.start_stream_encryption(StreamName="secret", EncryptionType="KMS", KeyId=ALIAS)
    put(kinesis, "secret", range(3))
    node.kill()
    for options in [(), keys(tmp_path, alias_other=wrong), keys(tmp_path, alias_shop=wrong)]:
        node = Node(tmp_path, options=options)
        kinesis = node.client()
        with pytest.raises(botocore.exceptions.ClientError, match="--encryption-keys") as caught:
            read(kinesis, "secret")
        assert caught.value.response["Error"]["Code"] == "KMSNotFoundException"
        record = {"StreamName": "secret", "Data": b"x", "PartitionKey": "k"}
        assert code_of(kinesis.put_record, **record) == "KMSNotFoundException"
        records = [{"Data": b"x", "PartitionKey": "k"}]
        assert code_of(kinesis.put_records, StreamName="secret", Records=records) == "KMSNotFoundException"
        node.kill()
    log = (tmp_path / "log").read_text()
    assert "another key has this name now" in log and "it was not given" in log
    node = Node(tmp_path, options=keys(tmp_path, alias_shop=right, alias_next=wrong))
    kinesis = node.client()
    # The next key takes over; then none.
    kinesis.start_stream_encryption(StreamName="secret", EncryptionType="KMS", KeyId="alias/next")
    put(kinesis, "secret", [3])
    stop = {"StreamName": "secret", "EncryptionType": "KMS"}
    assert code_of(kinesis.stop_stream_encryption, KeyId=ALIAS, **stop) == "InvalidArgumentException"
    kinesis.stop_stream_encryption(KeyId="alias/next", **stop)
    assert "KeyId" not in kinesis.describe_stream(StreamName="secret")["StreamDescription"]
    assert "EncryptionType" not in put(kinesis, "secret", [4])
    assert [record["Data"] for record in read(kinesis, "secret")] == [b"%s %d" % (SECRET, n) for n in range(5)]
    node.stop()


def test_keys_in_the_data_folder_are_refused(tmp_path):
    (tmp_path / "data").mkdir()
    options = keys(tmp_path / "data", alias_shop=os.urandom(32))
    with pytest.raises(AssertionError, match="keep them elsewhere"):
        Node(tmp_path, options=options)
