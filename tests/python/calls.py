"""For each operation that a node serves: requests that must succeed, and what they need beforehand."""

import base64
import json

FIRST_SHARD = "shardId-000000000000"
DATA = base64.b64encode(b"data").decode()
POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})


class World:
    """Makes streams, consumers and what hangs on them."""

    def __init__(self, ask):
        self.ask = ask
        self.count = 0

    def stream(self, shards=2, **more):
        self.count += 1
        name = f"s{self.count}"
        on_demand = "StreamModeDetails" in more
        self.ask("CreateStream", {"StreamName": name, **({} if on_demand else {"ShardCount": shards}), **more})
        return name

    def on_demand(self, **more):
        return self.stream(StreamModeDetails={"StreamMode": "ON_DEMAND"}, **more)

    def arn(self, name):
        summary = self.ask("DescribeStreamSummary", {"StreamName": name})["StreamDescriptionSummary"]
        return summary["StreamARN"]

    def consumer(self, name, consumer="c"):
        request = {"StreamARN": self.arn(name), "ConsumerName": consumer, "Tags": {"of": "consumer"}}
        return self.ask("RegisterStreamConsumer", request)["Consumer"]["ConsumerARN"]

    def commit(self):
        self.ask("UpdateAccountSettings", {"MinimumThroughputBillingCommitment": {"Status": "ENABLED"}})

    def put(self, name, **more):
        return self.ask("PutRecord", {"StreamName": name, "Data": DATA, "PartitionKey": "k", **more})

    def iterator(self, name, shard=FIRST_SHARD):
        request = {"StreamName": name, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        return self.ask("GetShardIterator", request)["ShardIterator"]

    def split(self, name):
        self.ask("SplitShard", {"StreamName": name, "ShardToSplit": FIRST_SHARD, "NewStartingHashKey": str(2**126)})

    def full(self):
        """A stream of which every answer has something to say."""
        self.commit()
        name = self.on_demand(Tags={"a": "1", "b": ""}, MaxRecordSizeInKiB=2048, WarmThroughputMiBps=7)
        self.ask("EnableEnhancedMonitoring", {"StreamName": name, "ShardLevelMetrics": ["ALL"]})
        self.consumer(name)
        return name

    def resharded(self):
        """A stream with a split and a merge behind it, and records before them."""
        name = self.stream(shards=2)
        self.put(name, ExplicitHashKey="0")
        self.split(name)
        merged = {"ShardToMerge": "shardId-000000000003", "AdjacentShardToMerge": "shardId-000000000001"}
        self.ask("MergeShards", {"StreamName": name, **merged})
        return name

    def records(self):
        """A stream with records in an open shard."""
        name = self.stream(shards=1)
        self.put(name), self.put(name)
        return name


def named(make=World.stream, **more):
    """A request of nothing but a new stream's name, and `more`."""
    return lambda world: {"StreamName": make(world), **more}


def addressed(make=World.stream, **more):
    return lambda world: {"StreamARN": world.arn(make(world)), **more}


def new(**more):
    def request(world):
        world.count += 1
        return {"StreamName": f"new{world.count}", **more}

    return request


def of_resource(**more):
    return lambda world: {"ResourceARN": world.arn(world.full()), **more}


def of_consumer(**more):
    return lambda world: {"ResourceARN": world.consumer(world.stream()), **more}


def with_policy(world):
    request = {"ResourceARN": world.arn(world.stream())}
    world.ask("PutResourcePolicy", {**request, "Policy": POLICY})
    return request


def with_consumers(world):
    name = world.stream()
    world.consumer(name, "c1"), world.consumer(name, "c2")
    return {"StreamARN": world.arn(name), "MaxResults": 1}


def tagged(world):
    return {"StreamName": world.full(), "Limit": 1}


def committed(make, **more):
    def request(world):
        world.commit()
        return make(world) | more

    return request


def merge(world):
    return {"StreamName": world.stream(), "ShardToMerge": FIRST_SHARD, "AdjacentShardToMerge": "shardId-000000000001"}


ON_DEMAND = {"StreamMode": "ON_DEMAND"}

CALLS = {
    "AddTagsToStream": [named(Tags={"k": "v"})],
    "CreateStream": [
        new(ShardCount=1),
        new(ShardCount=1, Tags={"k": "v"}, MaxRecordSizeInKiB=10240, StreamModeDetails={"StreamMode": "PROVISIONED"}),
        committed(new(StreamModeDetails=ON_DEMAND, RecordDistributionStrategy="AUTO", WarmThroughputMiBps=1)),
    ],
    "DecreaseStreamRetentionPeriod": [named(RetentionPeriodHours=24)],
    "DeleteResourcePolicy": [with_policy],
    "DeleteStream": [named(), named(World.full, EnforceConsumerDeletion=True)],
    "DeregisterStreamConsumer": [
        lambda world: {"ConsumerARN": world.consumer(world.stream())},
        lambda world: {
            "StreamARN": world.arn(name := world.stream()), "ConsumerARN": world.consumer(name), "ConsumerName": "c",
        },
    ],
    "DescribeAccountSettings": [lambda world: {}, committed(lambda world: {})],
    "DescribeLimits": [lambda world: {}],
    "DescribeStream": [
        named(World.full),
        named(World.resharded),
        named(World.full, Limit=1, ExclusiveStartShardId=FIRST_SHARD),
    ],
    "DescribeStreamConsumer": [
        lambda world: {"ConsumerARN": world.consumer(world.stream())},
        lambda world: {"StreamARN": world.consumer(name := world.stream()) and world.arn(name), "ConsumerName": "c"},
    ],
    "DescribeStreamSummary": [named(World.full), named()],
    "DisableEnhancedMonitoring": [named(World.full, ShardLevelMetrics=["IncomingBytes"])],
    "EnableEnhancedMonitoring": [
        named(ShardLevelMetrics=["IncomingBytes", "OutgoingBytes"]),
        named(World.full, ShardLevelMetrics=["ALL"]),
    ],
    "GetRecords": [
        lambda world: {"ShardIterator": world.iterator(world.records()), "Limit": 1},
        lambda world: {"ShardIterator": world.iterator(world.resharded())},
    ],
    "GetResourcePolicy": [with_policy],
    "GetShardIterator": [
        named(ShardId=FIRST_SHARD, ShardIteratorType="LATEST"),
        named(ShardId=FIRST_SHARD, ShardIteratorType="AT_TIMESTAMP", Timestamp=1_700_000_000.5),
        lambda world: {
            "StreamName": (name := world.stream(shards=1)), "ShardId": FIRST_SHARD,
            "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": world.put(name)["SequenceNumber"],
        },
    ],
    "IncreaseStreamRetentionPeriod": [named(RetentionPeriodHours=48), named(RetentionPeriodHours=24)],
    "ListShards": [
        named(MaxResults=1), named(World.resharded),
        named(World.resharded, ShardFilter={"Type": "AFTER_SHARD_ID", "ShardId": FIRST_SHARD}),
    ],
    "ListStreamConsumers": [with_consumers],
    "ListStreams": [lambda world: {"Limit": 1, "ExclusiveStartStreamName": (world.stream(), "a")[1]}],
    "ListTagsForResource": [of_resource(), of_consumer()],
    "ListTagsForStream": [tagged, named(World.full, ExclusiveStartTagKey="a")],
    "MergeShards": [merge],
    "PutRecord": [
        named(Data=DATA, PartitionKey="k"),
        named(Data=DATA, PartitionKey="k", ExplicitHashKey="0"),
        lambda world: {"StreamName": world.on_demand(RecordDistributionStrategy="AUTO"), "Data": DATA},
    ],
    "PutRecords": [
        named(Records=[{"Data": DATA, "PartitionKey": "k"}, {"Data": "", "PartitionKey": "l", "ExplicitHashKey": "0"}]),
    ],
    "PutResourcePolicy": [of_resource(Policy=POLICY), of_consumer(Policy=POLICY)],
    "RegisterStreamConsumer": [addressed(ConsumerName="c"), addressed(ConsumerName="c", Tags={"k": "v"})],
    "RemoveTagsFromStream": [named(World.full, TagKeys=["a", "none"])],
    "SplitShard": [named(ShardToSplit=FIRST_SHARD, NewStartingHashKey=str(2**126))],
    "TagResource": [of_resource(Tags={"k": "v"}), of_consumer(Tags={"k": "v"})],
    "UntagResource": [of_resource(TagKeys=["a"]), of_consumer(TagKeys=["of"])],
    "UpdateAccountSettings": [
        lambda world: {"MinimumThroughputBillingCommitment": {"Status": "ENABLED"}},
        lambda world: {"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}},
    ],
    "UpdateMaxRecordSize": [addressed(MaxRecordSizeInKiB=10240)],
    "UpdateShardCount": [named(TargetShardCount=4, ScalingType="UNIFORM_SCALING")],
    "UpdateStreamMode": [
        addressed(StreamModeDetails=ON_DEMAND),
        committed(addressed(StreamModeDetails=ON_DEMAND, WarmThroughputMiBps=5)),
    ],
    "UpdateStreamRecordDistributionStrategy": [addressed(World.on_demand, RecordDistributionStrategy="AUTO")],
    "UpdateStreamWarmThroughput": [committed(named(World.on_demand, WarmThroughputMiBps=9))],
}

# Answered with events, as long as there are some.
EVENTS = {
    "SubscribeToShard": lambda world: {
        "ConsumerARN": world.consumer(world.stream()), "ShardId": FIRST_SHARD, "StartingPosition": {"Type": "LATEST"},
    },
}

# Refused by a node without encryption keys: requests, the error, and the reason.
REFUSED = {
    "StartStreamEncryption": (named(EncryptionType="KMS", KeyId="alias/aws/kinesis"), "KMSNotFoundException", "--encryption-keys"),
    "StopStreamEncryption": (named(EncryptionType="KMS", KeyId="alias/aws/kinesis"), "InvalidArgumentException", "is not encrypted"),
}
