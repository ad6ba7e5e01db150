"""The programs of docs/clients.md, as they stand but for the node's address."""

import os
import re
import sys

import clients
import pytest
from conftest import REPOSITORY, Node

PAGE = (REPOSITORY / "docs" / "clients.md").read_text()
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def programs(language, node):
    """The page's programs in this language, for this node."""
    found = [block for name, block in BLOCK.findall(PAGE) if name == language]
    assert all("http://127.0.0.1:4567" in program for program in found), language
    return [program.replace("http://127.0.0.1:4567", node.url) for program in found]


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A node, and the variables of the page's first block."""
    node = Node(tmp_path_factory.mktemp("page"))
    exports, _ = programs("sh", node)
    names = re.findall(r"(\w+)=(\S+)", exports)
    assert "AWS_ENDPOINT_URL_KINESIS" in dict(names)
    yield node, dict(names)
    node.stop()


def check(node, command, variables, data, **more):
    """The program ends well and has put this record into the stream of the page."""
    done = clients.run(command, variables, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    kinesis = node.client(region="us-east-1")
    start = {"StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    records = kinesis.get_records(ShardIterator=kinesis.get_shard_iterator(**start)["ShardIterator"])["Records"]
    (sequence,) = [record["SequenceNumber"] for record in records if record["Data"] == data]
    assert sequence in done.stdout


@pytest.fixture
def orders(ready):
    """The page's stream."""
    node, _ = ready
    kinesis = node.client(region="us-east-1")
    kinesis.create_stream(StreamName="orders", ShardCount=1)
    yield
    kinesis.delete_stream(StreamName="orders")


def test_the_command_line(ready):
    node, variables = ready
    _, program = programs("sh", node)
    path = f"{clients.SCRIPTS}:{os.environ['PATH']}"
    check(node, ["bash", "-euc", program], variables | {"PATH": path}, b"from-the-command-line")
    node.client(region="us-east-1").delete_stream(StreamName="orders")


def test_python(ready, orders):
    node, variables = ready
    (program,) = programs("python", node)
    check(node, [sys.executable, "-c", program], variables, b"from Python")


def test_javascript(ready, orders):
    node, variables = ready
    (program,) = programs("js", node)
    command = ["node", "--input-type=module", "--eval", program]
    check(node, command, variables, b"from JavaScript", cwd=clients.TESTS / "javascript")


def test_java(ready, orders, tmp_path):
    node, variables = ready
    (program,) = programs("java", node)
    (tmp_path / "Put.java").write_text(program)
    (options,) = re.findall(r"`java -cp 'jars/\*' (.*)Put\.java`", PAGE)
    command = ["java", "-cp", clients.jars(), *options.split(), tmp_path / "Put.java"]
    check(node, command, variables, b"from Java")


def test_the_variables_are_enough(ready, orders):
    node, variables = ready
    (program,) = programs("python", node)
    without = program.replace(f', endpoint_url="{node.url}"', "")
    assert without != program
    check(node, [sys.executable, "-c", without], variables, b"from Python")
