"""Round trips of AWS's own clients: each creates a stream, puts, lists, reads, meets two errors, and deletes it.

A trip is given the URL of a node, an order and the variables of AWS; it ends with a report of what the client saw.
"""

import base64
import datetime
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import boto3
import botocore.exceptions

TESTS = pathlib.Path(__file__).resolve().parents[1]
PATIENCE_S = float(os.environ.get("PATIENCE_S", 900))
SCRIPTS = pathlib.Path(sys.executable).parent
# A node's options for `requests`.
LOG = ["--log-format", "json", "--log", "tidemill=debug"]


def requests(node, since=0):
    """What the log says of each request after so many bytes of it."""
    lines = (node.folder / "log").read_bytes()[since:].decode().splitlines()
    events = [json.loads(line) for line in lines]
    return [event | event["span"] for event in events if event["message"] == "answered"]


def environment(variables):
    """The environment of a client that finds no other configuration of AWS."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    return plain | nowhere | variables


def run(command, variables, **more):
    return subprocess.run(command, env=environment(variables), capture_output=True, text=True, timeout=PATIENCE_S, **more)


def program(command, order, folder, variables):
    """The report that a program prints when it is given the order."""
    path = folder / "order.json"
    path.write_text(json.dumps(order))
    done = run([*command, path], variables)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def javascript(url, order, folder, variables):
    return program(["node", TESTS / "javascript" / "trip.mjs", url], order, folder, variables)


def jar_folder():
    """The jars in the wheel of the Kinesis Client Library."""
    (home,) = importlib.util.find_spec("amazon_kclpy").submodule_search_locations
    return pathlib.Path(home, "jars")


def jars():
    """All of them but the logger, which would write to standard output."""
    found = [str(path) for path in jar_folder().glob("*.jar") if not path.name.startswith("logback")]
    assert found, f"there are no jars in {jar_folder()}"
    return os.pathsep.join(sorted(found))


def java(kind):
    """A trip of the client of this kind, `sync` or `async`."""

    def trip(url, order, folder, variables):
        command = ["java", "-cp", jars(), TESTS / "java" / "Trip.java", kind, url]
        return program(command, order, folder, variables)

    return trip


class CommandLine:
    """`aws`, once for each call."""

    REFUSED = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation: (.*)")

    def __init__(self, url, variables):
        self.command = [SCRIPTS / "aws", "kinesis", "--endpoint-url", url, "--output", "json"]
        self.variables = variables

    def run(self, verb, *options, **members):
        options = [*map(str, options)]
        for name, value in members.items():
            options += ["--" + name.replace("_", "-"), str(value)]
        command = self.command[:2] + verb.split() + self.command[2:] + options
        return run(command, self.variables)

    def call(self, verb, *options, **members):
        done = self.run(verb, *options, **members)
        assert done.returncode == 0, f"aws kinesis {verb} ended with {done.returncode}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout else None

    def refusal(self, verb, **members):
        done = self.run(verb, **members)
        found = self.REFUSED.search(done.stderr)
        assert done.returncode != 0 and found, f"aws kinesis {verb} ended with {done.returncode}: {done.stderr}"
        return {"class": found[1], "message": found[2]}


def command_line(url, order, folder, variables):
    aws, name, report = CommandLine(url, variables), order["stream"], {}
    aws.call("create-stream", stream_name=name, shard_count=order["shards"])
    aws.call("wait stream-exists", stream_name=name)
    report["status"] = aws.call("describe-stream-summary", stream_name=name)["StreamDescriptionSummary"]["StreamStatus"]
    report["exists"] = aws.refusal("create-stream", stream_name=name, shard_count=order["shards"])
    report["put"] = command_line_put(aws, order, folder)
    report["shards"] = command_line_shards(aws, name)
    report["pages"] = [page for shard in report["shards"] for page in command_line_read(aws, order, shard)]
    aws.call("delete-stream", stream_name=name)
    aws.call("wait stream-not-exists", stream_name=name)
    report["unknown"] = aws.refusal("describe-stream-summary", stream_name=name)
    return report


def command_line_put(aws, order, folder):
    """Any bytes come from files: in JSON, version 1 takes data for text."""
    name, entries = order["stream"], []
    for number, record in enumerate(order["records"]):
        path = folder / f"data-{number}"
        path.write_bytes(base64.b64decode(record["data"]))
        entries.append((record["key"], f"fileb://{path}"))
    (key, data), *others = entries
    results = [aws.call("put-record", stream_name=name, partition_key=key, data=data)]
    for batch in batches(others, order["batch"]):
        records = [f"Data@={data},PartitionKey={key}" for key, data in batch]
        results += aws.call("put-records", "--records", *records, stream_name=name)["Records"]
    return [{"shard": result["ShardId"], "sequence": result["SequenceNumber"]} for result in results]


def batches(records, length):
    return [records[at : at + length] for at in range(0, len(records), length)]


def command_line_shards(aws, name):
    answer = aws.call("list-shards", stream_name=name, max_results=1)
    found = answer["Shards"]
    while "NextToken" in answer:
        answer = aws.call("list-shards", next_token=answer["NextToken"], max_results=1)
        found += answer["Shards"]
    return [shard["ShardId"] for shard in found]


def command_line_read(aws, order, shard):
    start = aws.call("get-shard-iterator", stream_name=order["stream"], shard_id=shard, shard_iterator_type="TRIM_HORIZON")
    pages, iterator = [], start["ShardIterator"]
    while True:
        answer = aws.call("get-records", shard_iterator=iterator, limit=order["page"])
        pages.append([told(shard, record, record["Data"]) for record in answer["Records"]])
        if answer["MillisBehindLatest"] == 0:
            return pages
        iterator = answer["NextShardIterator"]


def told(shard, record, data):
    key, sequence = record["PartitionKey"], record["SequenceNumber"]
    arrived = record["ApproximateArrivalTimestamp"]
    # The command line prints seconds.
    arrived = arrived.timestamp() if isinstance(arrived, datetime.datetime) else arrived
    return {"shard": shard, "sequence": sequence, "key": key, "data": data, "arrived": arrived * 1000}


def boto(url, order, _folder, variables):
    kinesis = boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        verify=variables.get("AWS_CA_BUNDLE"),
    )
    name, report = {"StreamName": order["stream"]}, {}
    kinesis.create_stream(**name, ShardCount=order["shards"])
    kinesis.get_waiter("stream_exists").wait(**name)
    report["status"] = kinesis.describe_stream_summary(**name)["StreamDescriptionSummary"]["StreamStatus"]
    in_use, not_found = kinesis.exceptions.ResourceInUseException, kinesis.exceptions.ResourceNotFoundException
    report["exists"] = boto_refusal(in_use, lambda: kinesis.create_stream(**name, ShardCount=order["shards"]))
    report["put"] = boto_put(kinesis, order)
    report["shards"] = boto_shards(kinesis, name)
    report["pages"] = [page for shard in report["shards"] for page in boto_read(kinesis, order, shard)]
    summary = kinesis.describe_stream_summary(**name)["StreamDescriptionSummary"]
    consumer = kinesis.register_stream_consumer(StreamARN=summary["StreamARN"], ConsumerName="pushed")["Consumer"]
    report["pushed"] = [boto_pushed(kinesis, consumer, shard, read_in(report, shard)) for shard in report["shards"]]
    kinesis.delete_stream(**name, EnforceConsumerDeletion=True)
    kinesis.get_waiter("stream_not_exists").wait(**name)
    report["unknown"] = boto_refusal(not_found, lambda: kinesis.describe_stream_summary(**name))
    return report


def read_in(report, shard):
    """How many records of a shard were read."""
    return sum(record["shard"] == shard for page in report["pages"] for record in page)


def boto_pushed(kinesis, consumer, shard, count):
    position = {"Type": "TRIM_HORIZON"}
    ask = {"ConsumerARN": consumer["ConsumerARN"], "ShardId": shard, "StartingPosition": position}
    events, found = kinesis.subscribe_to_shard(**ask)["EventStream"], []
    for event in events:
        records = event["SubscribeToShardEvent"]["Records"]
        found += [told(shard, record, base64.b64encode(record["Data"]).decode()) for record in records]
        if len(found) >= count:
            events.close()
            return found


def boto_refusal(expected, call):
    try:
        call()
    except expected as error:
        return {"class": type(error).__name__, "message": error.response["Error"]["Message"]}
    except botocore.exceptions.ClientError as error:
        return {"class": f"none: {error!r}", "message": str(error)}
    return {"class": "none", "message": "it was not refused"}


def boto_put(kinesis, order):
    entries = [{"PartitionKey": record["key"], "Data": base64.b64decode(record["data"])} for record in order["records"]]
    results = [kinesis.put_record(StreamName=order["stream"], **entries[0])]
    for batch in batches(entries[1:], order["batch"]):
        results += kinesis.put_records(StreamName=order["stream"], Records=batch)["Records"]
    return [{"shard": result["ShardId"], "sequence": result["SequenceNumber"]} for result in results]


def boto_shards(kinesis, name):
    # The paginator would name the stream beside the token, which Kinesis refuses.
    answer = kinesis.list_shards(**name, MaxResults=1)
    found = answer["Shards"]
    while "NextToken" in answer:
        answer = kinesis.list_shards(NextToken=answer["NextToken"], MaxResults=1)
        found += answer["Shards"]
    return [shard["ShardId"] for shard in found]


def boto_read(kinesis, order, shard):
    start = {"StreamName": order["stream"], "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    pages, iterator = [], kinesis.get_shard_iterator(**start)["ShardIterator"]
    while True:
        answer = kinesis.get_records(ShardIterator=iterator, Limit=order["page"])
        pages.append([told(shard, record, base64.b64encode(record["Data"]).decode()) for record in answer["Records"]])
        if answer["MillisBehindLatest"] == 0:
            return pages
        iterator = answer["NextShardIterator"]
