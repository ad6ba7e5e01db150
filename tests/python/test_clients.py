"""AWS's own clients, each in a whole round trip: through a node that asks for no signature, one that does, and one with TLS."""

import base64
import datetime
import json
import random
import subprocess

import clients
import pytest
from conftest import Node

KEYS = 'AKIDALL: { secret: all-secret, account: "123456789012" }\n'
# What a node without access keys takes, and one with these does not.
ANY = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
ALL = {"AWS_ACCESS_KEY_ID": "AKIDALL", "AWS_SECRET_ACCESS_KEY": "all-secret"}
REGION = {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1"}

# Those that have shards pushed to them, too.
SUBSCRIBERS = {"boto3", "javascript", "java-async"}

# (trip, how its User-Agent begins and what is in it, the version of HTTP it speaks)
CLIENTS = {
    "boto3": (clients.boto, ("Boto3/", ""), "HTTP/1.1"),
    "aws-cli": (clients.command_line, ("aws-cli/", ""), "HTTP/1.1"),
    "javascript": (clients.javascript, ("aws-sdk-js/3", ""), "HTTP/2.0"),
    "java-sync": (clients.java("sync"), ("aws-sdk-java/2", "io#sync"), "HTTP/1.1"),
    "java-async": (clients.java("async"), ("aws-sdk-java/2", "io#async"), "HTTP/2.0"),
}
CALLS = {
    "CreateStream",
    "DescribeStream",
    "DescribeStreamSummary",
    "PutRecord",
    "PutRecords",
    "ListShards",
    "GetShardIterator",
    "GetRecords",
    "DeleteStream",
}


@pytest.fixture(scope="module")
def open_node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("open"), options=clients.LOG)
    yield node, ANY
    node.stop()


@pytest.fixture(scope="module")
def secured_node(tmp_path_factory):
    """It speaks TLS, and each client is told to trust its certificate in the client's own way."""
    folder = tmp_path_factory.mktemp("secured")
    node = Node(folder, options=[*clients.LOG, "--tls"])
    store, password = folder / "trust.p12", "changeit"
    named = ["-alias", "node", "-file", node.certificate, "-keystore", store, "-storepass", password]
    subprocess.run(["keytool", "-importcert", "-noprompt", *named], check=True, capture_output=True)
    properties = f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword={password}"
    trust = {"AWS_CA_BUNDLE": str(node.certificate), "NODE_EXTRA_CA_CERTS": str(node.certificate), "JAVA_TOOL_OPTIONS": properties}
    yield node, ANY | trust
    node.stop()


@pytest.fixture(scope="module")
def guarded_node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys.yaml"
    keys.write_text(KEYS)
    keys.chmod(0o600)
    node = Node(folder, options=[*clients.LOG, "--credentials", keys])
    yield node, ALL
    node.stop()


def new_order(stream):
    """What a trip is to do: records of any bytes, in shards that take several pages each."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    records = [(f"key-{number}", chance.randbytes(chance.randrange(200))) for number in range(601)]
    records[0] = ("k\u00e9y \u6f6e", bytes(range(256)))
    records[1] = ("of nothing", b"")
    records = [{"key": key, "data": base64.b64encode(data).decode()} for key, data in records]
    return {"stream": stream, "shards": 2, "batch": 400, "page": 200, "records": records}


def check_report(report, order, began):
    """Everything that the client was told is right."""
    assert report["status"] == "ACTIVE"
    assert report["exists"]["class"] == "ResourceInUseException", report["exists"]
    assert report["unknown"]["class"] == "ResourceNotFoundException", report["unknown"]
    assert all(order["stream"] in report[refused]["message"] for refused in ["exists", "unknown"]), report
    assert report["shards"] == [f"shardId-{index:012}" for index in range(order["shards"])]
    assert all(len(page) <= order["page"] for page in report["pages"])
    assert len([page for page in report["pages"] if page]) > len(report["shards"])
    read = [record for page in report["pages"] for record in page]
    now = datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000
    for record in read:
        # To the second: not every client shows more.
        assert began // 1000 * 1000 <= record.pop("arrived") <= now, record
    assert len(report["put"]) == len(order["records"])
    expected = [put | record for put, record in zip(report["put"], order["records"])]
    # Each shard in its order, and nothing else.
    assert read == [record for shard in report["shards"] for record in expected if record["shard"] == shard]
    for shard, pushed in zip(report["shards"], report.get("pushed", [])):
        assert [{**record, "arrived": None} for record in pushed] == [
            {**record, "arrived": None} for record in read if record["shard"] == shard
        ]
    for shard in report["shards"]:
        sequence = [int(record["sequence"]) for record in read if record["shard"] == shard]
        assert sequence == sorted(set(sequence))


@pytest.mark.parametrize("kind", ["open_node", "guarded_node", "secured_node"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_round_trip(client, kind, request, tmp_path):
    node, credentials = request.getfixturevalue(kind)
    trip, (begins, has), version = CLIENTS[client]
    order = new_order(f"trip-of-{client}")
    since = (node.folder / "log").stat().st_size
    began = datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000
    report = trip(node.url, order, tmp_path, credentials | REGION)
    check_report(report, order, began)
    asked = clients.requests(node, since)
    for event in asked:
        assert event["user_agent"].startswith(begins) and has in event["user_agent"], event
        assert event["http_version"] == version, event
    subscribes = {"RegisterStreamConsumer", "SubscribeToShard"} if client in SUBSCRIBERS else set()
    assert {event["operation"] for event in asked} == CALLS | subscribes
    assert len(report.get("pushed", [])) == (order["shards"] if subscribes else 0)
    refused = {event["operation"] for event in asked if event["status"] == 400}
    assert {"CreateStream", "DescribeStreamSummary"} <= refused


@pytest.mark.parametrize("client", ["aws-cli", "javascript"])
def test_a_wrong_secret_ends_the_trip(client, guarded_node, tmp_path):
    node, credentials = guarded_node
    trip, *_ = CLIENTS[client]
    wrong = credentials | REGION | {"AWS_SECRET_ACCESS_KEY": "all-secreT"}
    with pytest.raises(Exception, match="signature we calculated does not match"):
        trip(node.url, new_order("never"), tmp_path, wrong)
    assert "never" not in node.client("AKIDALL", "all-secret").list_streams()["StreamNames"]
