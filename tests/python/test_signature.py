"""A node with access keys: what botocore signed is taken, and nothing else."""

import datetime
import hashlib
import http.client
import json
import os
import subprocess
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest
from conftest import BINARY, Node

REGION = "eu-central-1"
ACCOUNT = "123456789012"
KEYS = """
AKIDALL: { secret: all-secret, account: "123456789012" }
AKIDOTHER: { secret: other-secret, account: "999999999999" }
AKIDTEMP: { secret: temp-secret, account: "123456789012", session_token: a-token }
AKIDPUT:
  secret: put-secret
  account: "123456789012"
  allow:
    - actions: [kinesis:Put*, GetShardIterator]
      streams: [orders-*]
    - actions: [ListStreams]
"""
MISMATCH = "The request signature we calculated does not match the signature you provided."


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys.yaml"
    keys.write_text(KEYS)
    keys.chmod(0o600)
    node = Node(folder, options=["--credentials", keys])
    yield node
    node.stop()


@pytest.fixture(scope="module")
def everything(guarded):
    return guarded.client("AKIDALL", "all-secret")


def refused(call):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call()
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


class QueryAuth(botocore.auth.SigV4QueryAuth):
    """Signs the body with the rest, where botocore would sign that there is none."""

    def payload(self, request):
        return hashlib.sha256(b"{}").hexdigest()


class Signed:
    """A request as botocore signs it, which can be changed before it is sent."""

    def __init__(self, node, credentials=("AKIDALL", "all-secret"), query=False, service="kinesis", at=None, expires=60):
        self.address = urllib.parse.urlsplit(node.url).netloc
        self.method, self.path, self.body = "POST", "/", b"{}"
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Kinesis_20131202.ListStreams"}
        request = botocore.awsrequest.AWSRequest("POST", node.url + "/", headers, self.body)
        credentials = botocore.credentials.Credentials(*credentials)
        signer = QueryAuth if query else botocore.auth.SigV4Auth
        more = {"expires": expires} if query else {}
        original = botocore.auth.get_current_datetime
        if at is not None:
            botocore.auth.get_current_datetime = lambda remove_tzinfo=True: at
        try:
            signer(credentials, service, REGION, **more).add_auth(request)
        finally:
            botocore.auth.get_current_datetime = original
        self.query = urllib.parse.urlsplit(request.url).query
        self.headers = dict(request.headers.items())

    def send(self):
        connection = http.client.HTTPConnection(self.address)
        path = self.path + ("?" + self.query if self.query else "")
        connection.putrequest(self.method, path, skip_host="Host" in self.headers, skip_accept_encoding=True)
        for name, value in {**self.headers, "Content-Length": str(len(self.body))}.items():
            connection.putheader(name, value)
        connection.endheaders(self.body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text.startswith(b"{") else {}


def test_what_boto3_signs_is_taken(everything):
    everything.create_stream(StreamName="mine", ShardCount=1)
    everything.put_record(StreamName="mine", Data=b"\0\xff" * 100, PartitionKey="k\u00e9y")
    summary = everything.describe_stream_summary(StreamName="mine")["StreamDescriptionSummary"]
    assert summary["StreamARN"] == f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/mine"


def test_a_wrong_secret_and_an_unknown_key_are_refused(guarded):
    code, message = refused(guarded.client("AKIDALL", "all-secreT").list_streams)
    assert code == "InvalidSignatureException" and message.startswith(MISMATCH)
    code, message = refused(guarded.client("AKIDNONE", "all-secret").list_streams)
    assert (code, message) == ("UnrecognizedClientException", "The security token included in the request is invalid.")


def test_temporary_credentials_need_their_token(guarded):
    assert guarded.client("AKIDTEMP", "temp-secret", "a-token").list_streams()["HasMoreStreams"] is False
    for token in [None, "another-token"]:
        code, _ = refused(guarded.client("AKIDTEMP", "temp-secret", token).list_streams)
        assert code == "UnrecognizedClientException", token
    code, _ = refused(guarded.client("AKIDALL", "all-secret", "a-token").list_streams)
    assert code == "UnrecognizedClientException"


def test_a_request_that_is_changed_by_one_byte_is_refused(guarded):
    assert Signed(guarded).send()[0] == 200

    def flipped(text, at=0):
        at %= len(text)
        return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]

    def check(change, *kinds):
        request = Signed(guarded)
        change(request)
        status, answer = request.send()
        assert answer.get("__type", status) in kinds, (status, answer)

    def header(name, at):
        return lambda request: request.headers.update({name: flipped(request.headers[name], at)})

    check(header("Authorization", -1), "InvalidSignatureException")
    check(header("X-Amz-Target", -1), "InvalidSignatureException", "UnknownOperationException")
    check(lambda request: request.headers.update({"X-Amz-Target": "Kinesis_20131202.DescribeLimits"}), "InvalidSignatureException")
    # The last digit of the seconds.
    check(header("X-Amz-Date", -2), "InvalidSignatureException")
    check(lambda request: setattr(request, "body", b"{ "), "InvalidSignatureException")
    check(lambda request: setattr(request, "query", "a"), "InvalidSignatureException")
    check(lambda request: setattr(request, "path", "/a"), "InvalidSignatureException", 404)
    check(lambda request: setattr(request, "method", "PUT"), "InvalidSignatureException", 405)
    check(lambda request: request.headers.update({"X-Amz-Security-Token": "t"}), "InvalidSignatureException")
    check(lambda request: request.headers.pop("Authorization"), "MissingAuthenticationTokenException")


def test_a_header_of_aws_that_is_not_signed_is_refused(guarded):
    request = Signed(guarded)
    request.headers["X-Amz-Other"] = "x"
    assert "'x-amz-other' must be a 'SignedHeader'" in request.send()[1]["message"]


def test_a_presigned_address_is_taken_for_as_long_as_it_says(guarded):
    request = Signed(guarded, query=True)
    assert request.send()[0] == 200
    for name in ["X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature"]:
        request = Signed(guarded, query=True)
        at = request.query.index(name + "=") + len(name) + 1
        # One digit more is another value of each.
        request.query = request.query[:at] + "1" + request.query[at:]
        assert request.send()[0] == 400, name
    hour = datetime.timedelta(hours=1)
    past = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - hour
    assert Signed(guarded, query=True, at=past, expires=7200).send()[0] == 200
    status, answer = Signed(guarded, query=True, at=past, expires=3000).send()
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")
    assert answer["message"].startswith("Signature expired: ")


def test_a_signature_of_another_time_or_service_is_refused(guarded):
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    minutes = datetime.timedelta(minutes=1)
    for ahead, told in [(-10, "Signature expired: "), (10, "Signature not yet current: ")]:
        status, answer = Signed(guarded, at=now + ahead * minutes).send()
        assert (status, answer["__type"]) == (400, "InvalidSignatureException")
        assert answer["message"].startswith(told)
    assert Signed(guarded, at=now - 3 * minutes).send()[0] == 200
    status, answer = Signed(guarded, service="dynamodb").send()
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")


def test_a_key_may_do_what_its_rules_allow(guarded, everything):
    put = guarded.client("AKIDPUT", "put-secret")
    for name in ["orders-1", "secret"]:
        everything.create_stream(StreamName=name, ShardCount=1)
    arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/"
    put.put_record(StreamName="orders-1", Data=b"", PartitionKey="k")
    put.put_records(StreamARN=arn + "orders-1", Records=[{"Data": b"", "PartitionKey": "k"}])
    shard = {"ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = put.get_shard_iterator(StreamName="orders-1", **shard)["ShardIterator"]
    for call in [
        lambda: put.put_record(StreamName="secret", Data=b"", PartitionKey="k"),
        lambda: put.put_record(StreamARN=arn + "secret", Data=b"", PartitionKey="k"),
        lambda: put.describe_stream(StreamName="orders-1"),
        lambda: put.delete_stream(StreamName="orders-1"),
        lambda: put.get_records(ShardIterator=iterator),
        lambda: put.get_shard_iterator(StreamName="secret", **shard),
        lambda: put.create_stream(StreamName="orders-2", ShardCount=1),
        lambda: put.describe_limits(),
    ]:
        code, message = refused(call)
        assert code == "AccessDeniedException" and f"arn:aws:iam::{ACCOUNT}:user/AKIDPUT is not authorized" in message
    assert "orders-1" in put.list_streams()["StreamNames"]
    records = everything.get_records(ShardIterator=iterator)["Records"]
    assert len(records) == 2


def test_accounts_and_regions_have_streams_of_their_own(guarded, everything):
    other = guarded.client("AKIDOTHER", "other-secret")
    away = guarded.client("AKIDALL", "all-secret", region="us-west-2")
    for client, data in [(everything, b"mine"), (other, b"other"), (away, b"away")]:
        client.create_stream(StreamName="shared-name", ShardCount=1)
        client.put_record(StreamName="shared-name", Data=data, PartitionKey="k")
    for client, data in [(everything, b"mine"), (other, b"other"), (away, b"away")]:
        shard = client.list_shards(StreamName="shared-name")["Shards"][0]["ShardId"]
        start = client.get_shard_iterator(StreamName="shared-name", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        records = client.get_records(ShardIterator=start["ShardIterator"])["Records"]
        assert [record["Data"] for record in records] == [data]
    assert other.list_streams()["StreamNames"] == ["shared-name"]
    assert away.list_streams()["StreamNames"] == ["shared-name"]
    # Neither an iterator nor an ARN is a way to what belongs to somebody else.
    code, _ = refused(lambda: other.get_records(ShardIterator=start["ShardIterator"]))
    assert code == "ResourceNotFoundException"
    arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/shared-name"
    code, _ = refused(lambda: other.put_record(StreamARN=arn, Data=b"", PartitionKey="k"))
    assert code == "AccessDeniedException"
    away.delete_stream(StreamName="shared-name")
    assert "shared-name" in everything.list_streams()["StreamNames"]


def test_streams_of_other_accounts_outlive_a_restart(tmp_path):
    keys = tmp_path / "keys.yaml"
    keys.write_text(KEYS)
    options = ["--credentials", keys]
    node = Node(tmp_path, options=options)
    node.client("AKIDOTHER", "other-secret").create_stream(StreamName="kept", ShardCount=1)
    node.kill()
    node = Node(tmp_path, options=options)
    assert node.client("AKIDOTHER", "other-secret").list_streams()["StreamNames"] == ["kept"]
    assert node.client("AKIDALL", "all-secret").list_streams()["StreamNames"] == []
    node.stop()


def test_plain_http_needs_a_token_where_there_are_keys(guarded):
    address = urllib.parse.urlsplit(guarded.url).netloc
    connection = http.client.HTTPConnection(address)
    connection.request("POST", "/streams/any/records", b"x", {"Content-Type": "text/plain"})
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]) == (401, "unauthorized")


def test_the_command_line_signs_with_the_variables_of_aws(guarded, everything):
    everything.create_stream(StreamName="lines", ShardCount=1)
    variables = {"AWS_ACCESS_KEY_ID": "AKIDALL", "AWS_SECRET_ACCESS_KEY": "all-secret", "AWS_REGION": REGION}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}

    def tidemill(variables, *arguments, **more):
        command = [BINARY, *arguments, "--node", guarded.url]
        return subprocess.run(command, env={**plain, **variables}, capture_output=True, text=True, **more)

    put = tidemill(variables, "put", "lines", input="a\nb\n")
    assert put.returncode == 0, put.stderr
    assert "lines" in tidemill(variables, "stream", "list").stdout
    tail = tidemill({**variables, "AWS_SESSION_TOKEN": ""}, "tail", "lines", "--no-follow", "--from", "trim-horizon")
    assert tail.returncode == 0 and "a" in tail.stdout, tail.stderr
    assert "wants signed requests; set AWS_ACCESS_KEY_ID" in tidemill({}, "stream", "list").stderr
    wrong = {**variables, "AWS_SECRET_ACCESS_KEY": "x"}
    assert "InvalidSignatureException" in tidemill(wrong, "stream", "list").stderr
