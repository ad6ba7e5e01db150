// A round trip of the AWS SDK for JavaScript: `node trip.mjs URL ORDER` prints as JSON what the client saw.

import { readFileSync } from "node:fs";
import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  SubscribeToShardCommand,
  waitUntilStreamExists,
  waitUntilStreamNotExists,
} from "@aws-sdk/client-kinesis";

const [url, order] = process.argv.slice(2);
const { stream, shards, batch, page, records } = JSON.parse(readFileSync(order, "utf8"));
const kinesis = new KinesisClient({ endpoint: url, maxAttempts: 1 });
const waiting = { client: kinesis, maxWaitTime: 60 };
const StreamName = stream;

async function put() {
  const entries = records.map(({ key, data }) => ({ PartitionKey: key, Data: Buffer.from(data, "base64") }));
  const results = [await kinesis.send(new PutRecordCommand({ StreamName, ...entries[0] }))];
  for (let at = 1; at < entries.length; at += batch) {
    const Records = entries.slice(at, at + batch);
    results.push(...(await kinesis.send(new PutRecordsCommand({ StreamName, Records }))).Records);
  }
  return results.map(({ ShardId, SequenceNumber }) => ({ shard: ShardId, sequence: SequenceNumber }));
}

async function listShards() {
  const found = [];
  let answer = await kinesis.send(new ListShardsCommand({ StreamName, MaxResults: 1 }));
  for (;;) {
    found.push(...answer.Shards.map((shard) => shard.ShardId));
    if (answer.NextToken === undefined) return found;
    answer = await kinesis.send(new ListShardsCommand({ NextToken: answer.NextToken, MaxResults: 1 }));
  }
}

async function read(shard) {
  const pages = [];
  const from = { StreamName, ShardId: shard, ShardIteratorType: "TRIM_HORIZON" };
  let iterator = (await kinesis.send(new GetShardIteratorCommand(from))).ShardIterator;
  for (;;) {
    const answer = await kinesis.send(new GetRecordsCommand({ ShardIterator: iterator, Limit: page }));
    pages.push(answer.Records.map((record) => told(shard, record)));
    if (answer.MillisBehindLatest === 0) return pages;
    iterator = answer.NextShardIterator;
  }
}

async function pushed(consumer, shard, count) {
  const ask = { ConsumerARN: consumer, ShardId: shard, StartingPosition: { Type: "TRIM_HORIZON" } };
  const { EventStream } = await kinesis.send(new SubscribeToShardCommand(ask));
  const found = [];
  for await (const { SubscribeToShardEvent: event } of EventStream) {
    found.push(...event.Records.map((record) => told(shard, record)));
    if (found.length >= count) return found;
  }
}

function told(shard, record) {
  const data = Buffer.from(record.Data).toString("base64");
  const arrived = record.ApproximateArrivalTimestamp.getTime();
  return { shard, sequence: record.SequenceNumber, key: record.PartitionKey, data, arrived };
}

// The class is the SDK's own, or the name of what came instead.
async function refusal(command) {
  try {
    await kinesis.send(command);
  } catch (error) {
    const known = { ResourceInUseException, ResourceNotFoundException };
    const found = Object.entries(known).find(([, type]) => error instanceof type);
    return { class: found ? found[0] : `none: ${error}`, message: error.message };
  }
  return { class: "none", message: "it was not refused" };
}

const report = {};
await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: shards }));
await waitUntilStreamExists(waiting, { StreamName });
const summary = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName }));
report.status = summary.StreamDescriptionSummary.StreamStatus;
report.exists = await refusal(new CreateStreamCommand({ StreamName, ShardCount: shards }));
report.put = await put();
report.shards = await listShards();
report.pages = (await Promise.all(report.shards.map(read))).flat();
const StreamARN = summary.StreamDescriptionSummary.StreamARN;
const { Consumer } = await kinesis.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "pushed" }));
const readIn = (shard) => report.pages.flat().filter((record) => record.shard === shard).length;
report.pushed = await Promise.all(report.shards.map((shard) => pushed(Consumer.ConsumerARN, shard, readIn(shard))));
await kinesis.send(new DeleteStreamCommand({ StreamName, EnforceConsumerDeletion: true }));
await waitUntilStreamNotExists(waiting, { StreamName });
report.unknown = await refusal(new DescribeStreamSummaryCommand({ StreamName }));
console.log(JSON.stringify(report));
kinesis.destroy();
