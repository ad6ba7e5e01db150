"""Starts the real node for boto3."""

import atexit
import json
import pathlib
import signal
import subprocess
import threading

import boto3
import botocore.config
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = REPOSITORY / "target" / "debug" / "tidemill"


class Node:
    """A node on a free port."""

    def __init__(self, folder, manifest="streams: {}\n", options=()):
        self.folder = folder
        path = folder / "deploy.yaml"
        path.write_text(manifest)
        command = [BINARY, "serve", "--manifest", path, "--data", folder / "data", "--listen", "127.0.0.1:0", "--ready-json", *options]
        self.log = (folder / "log").open("ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        # A test that fails may leave it.
        atexit.register(self.process.kill)
        ready = self.process.stdout.readline()
        assert ready, (folder / "log").read_text()
        ready = json.loads(ready)
        self.url = ("https://" if ready.get("tls") else "http://") + ready["address"]
        self.certificate = folder / "data" / "tls" / "certificate.pem"

    def client(self, key="123456789012", secret="secret", token=None, region="eu-central-1", **config):
        """A client that tries once and checks nothing itself, so that the node's own checks are seen."""
        config = botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=False, **config)
        return boto3.client(
            "kinesis",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=config,
            verify=str(self.certificate) if self.url.startswith("https:") else None,
        )

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait() == 0
        self.log.close()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("node"))
    yield node
    node.stop()


@pytest.fixture
def kinesis(node):
    return node.client()


_number = iter(range(1 << 30))
_lock = threading.Lock()


@pytest.fixture
def stream(kinesis):
    """A new stream of two shards."""
    with _lock:
        name = f"stream-{next(_number)}"
    kinesis.create_stream(StreamName=name, ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName=name)
    return name
