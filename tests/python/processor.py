"""A record processor for the MultiLangDaemon, which starts one for each shard that its worker gets.

They speak JSON, a line a message: the daemon tells what is to be done, the processor that it is done, and in between it may
ask for a checkpoint. What happens is appended to the file EVENTS, the same one for all workers: its order is that of the events.
"""

import base64
import json
import os
import sys
import time

EVENTS = os.open(os.environ["EVENTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(**event):
    """One write for a line, so that lines of several processes do not mix."""
    os.write(EVENTS, (json.dumps({"worker": os.environ["WORKER"], **event}) + "\n").encode())


def say(**message):
    print(json.dumps(message), flush=True)


def checkpoint(shard, behind, record=None):
    """Behind this record, else behind all that was delivered. Who has lost the lease has nothing more to say."""
    number = record and record["sequenceNumber"]
    while True:
        say(action="checkpoint", sequenceNumber=number, subSequenceNumber=record and record["subSequenceNumber"])
        error = json.loads(sys.stdin.readline())["error"]
        note(event="checkpoint", shard=shard, behind=behind, sequence=number, error=error)
        if error in (None, "ShutdownException"):
            return
        time.sleep(0.1)


def process(shard, records):
    for record in records:
        data = int(base64.b64decode(record["data"]))
        note(event="record", shard=shard, sequence=record["sequenceNumber"], key=record["partitionKey"], number=data)
    if records:
        checkpoint(shard, "processRecords", records[-1])


shard = None
for line in sys.stdin:
    message = json.loads(line)
    action = message["action"]
    shard = message.get("shardId", shard)
    if action == "processRecords":
        process(shard, message["records"])
    else:
        note(event=action, shard=shard)
    if action in ("shardEnded", "shutdownRequested"):
        checkpoint(shard, action)
    say(action="status", responseFor=action)
