// A round trip of the AWS SDK for Java: `java -cp JARS Trip.java sync|async URL ORDER` prints as JSON what the client saw.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.lang.reflect.Proxy;
import java.net.URI;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.KinesisException;
import software.amazon.awssdk.services.kinesis.model.ListShardsResponse;
import software.amazon.awssdk.services.kinesis.model.PutRecordResponse;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.Shard;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;
import software.amazon.awssdk.services.kinesis.waiters.KinesisWaiter;

public final class Trip {
    private final KinesisClient kinesis;
    /** The client that shards are pushed to; the other one cannot subscribe. */
    private final KinesisAsyncClient subscriber;
    private final JsonNode order;
    private final String stream;

    private Trip(KinesisClient kinesis, KinesisAsyncClient subscriber, JsonNode order) {
        this.kinesis = kinesis;
        this.subscriber = subscriber;
        this.order = order;
        this.stream = order.get("stream").asText();
    }

    public static void main(String[] arguments) throws Exception {
        var json = new ObjectMapper();
        var url = URI.create(arguments[1]);
        var order = json.readTree(new File(arguments[2]));
        var trip = switch (arguments[0]) {
            case "sync" -> new Trip(KinesisClient.builder().endpointOverride(url).build(), null, order);
            case "async" -> {
                var client = KinesisAsyncClient.builder().endpointOverride(url).build();
                yield new Trip(joined(client), client, order);
            }
            default -> throw new IllegalArgumentException(arguments[0] + ": use sync or async");
        };
        try (trip.kinesis) {
            System.out.println(json.writeValueAsString(trip.report()));
        }
    }

    /** The asynchronous client, whose every answer is waited for. */
    private static KinesisClient joined(KinesisAsyncClient client) {
        Class<?>[] shape = {KinesisClient.class};
        return (KinesisClient) Proxy.newProxyInstance(Trip.class.getClassLoader(), shape, (proxy, method, given) -> {
            var twin = KinesisAsyncClient.class.getMethod(method.getName(), method.getParameterTypes());
            try {
                return twin.invoke(client, given) instanceof CompletableFuture<?> answer ? answer.join() : null;
            } catch (CompletionException failed) {
                throw failed.getCause();
            }
        });
    }

    private Map<String, Object> report() {
        var report = new LinkedHashMap<String, Object>();
        int shards = order.get("shards").asInt();
        try (var waiter = KinesisWaiter.builder().client(kinesis).build()) {
            kinesis.createStream(request -> request.streamName(stream).shardCount(shards));
            waiter.waitUntilStreamExists(request -> request.streamName(stream));
            var summary = kinesis.describeStreamSummary(request -> request.streamName(stream));
            report.put("status", summary.streamDescriptionSummary().streamStatusAsString());
            report.put("exists", refusal(() ->
                kinesis.createStream(request -> request.streamName(stream).shardCount(shards))));
            report.put("put", put());
            var found = listShards();
            report.put("shards", found);
            report.put("pages", found.stream().flatMap(shard -> read(shard).stream()).toList());
            if (subscriber != null) {
                var arn = summary.streamDescriptionSummary().streamARN();
                var consumer = kinesis.registerStreamConsumer(request ->
                    request.streamARN(arn).consumerName("pushed")).consumer().consumerARN();
                @SuppressWarnings("unchecked")
                var pages = (List<List<Map<String, Object>>>) report.get("pages");
                report.put("pushed", found.stream().map(shard -> pushed(consumer, shard, pages.stream()
                    .flatMap(List::stream).filter(record -> record.get("shard").equals(shard)).count())).toList());
            }
            kinesis.deleteStream(request -> request.streamName(stream).enforceConsumerDeletion(true));
            waiter.waitUntilStreamNotExists(request -> request.streamName(stream));
            report.put("unknown", refusal(() -> kinesis.describeStreamSummary(request -> request.streamName(stream))));
        }
        return report;
    }

    private List<Map<String, Object>> put() {
        var entries = new ArrayList<PutRecordsRequestEntry>();
        for (var record : order.get("records")) {
            var data = SdkBytes.fromByteArray(Base64.getDecoder().decode(record.get("data").asText()));
            var key = record.get("key").asText();
            entries.add(PutRecordsRequestEntry.builder().partitionKey(key).data(data).build());
        }
        var first = entries.get(0);
        PutRecordResponse one = kinesis.putRecord(request ->
            request.streamName(stream).partitionKey(first.partitionKey()).data(first.data()));
        var results = new ArrayList<Map<String, Object>>();
        results.add(Map.of("shard", one.shardId(), "sequence", one.sequenceNumber()));
        int batch = order.get("batch").asInt();
        for (int at = 1; at < entries.size(); at += batch) {
            var some = entries.subList(at, Math.min(at + batch, entries.size()));
            for (var result : kinesis.putRecords(request -> request.streamName(stream).records(some)).records()) {
                results.add(Map.of("shard", result.shardId(), "sequence", result.sequenceNumber()));
            }
        }
        return results;
    }

    private List<String> listShards() {
        var found = new ArrayList<String>();
        ListShardsResponse answer = kinesis.listShards(request -> request.streamName(stream).maxResults(1));
        while (true) {
            answer.shards().stream().map(Shard::shardId).forEach(found::add);
            var token = answer.nextToken();
            if (token == null) {
                return found;
            }
            answer = kinesis.listShards(request -> request.nextToken(token).maxResults(1));
        }
    }

    private List<List<Map<String, Object>>> read(String shard) {
        var pages = new ArrayList<List<Map<String, Object>>>();
        var iterator = kinesis.getShardIterator(request ->
            request.streamName(stream).shardId(shard).shardIteratorType(ShardIteratorType.TRIM_HORIZON)).shardIterator();
        while (true) {
            var from = iterator;
            var answer = kinesis.getRecords(request -> request.shardIterator(from).limit(order.get("page").asInt()));
            pages.add(answer.records().stream().map(record -> told(shard, record)).toList());
            if (answer.millisBehindLatest() == 0) {
                return pages;
            }
            iterator = answer.nextShardIterator();
        }
    }

    private List<Map<String, Object>> pushed(String consumer, String shard, long count) {
        var records = new ArrayList<Map<String, Object>>();
        var enough = new CompletableFuture<Void>();
        var handler = SubscribeToShardResponseHandler.builder()
            .onError(enough::completeExceptionally)
            .subscriber(event -> {
                if (event instanceof SubscribeToShardEvent some && !enough.isDone()) {
                    some.records().stream().map(record -> told(shard, record)).forEach(records::add);
                    if (records.size() >= count) {
                        enough.complete(null);
                    }
                }
            })
            .build();
        var subscription = subscriber.subscribeToShard(request -> request.consumerARN(consumer).shardId(shard)
            .startingPosition(position -> position.type(ShardIteratorType.TRIM_HORIZON)), handler);
        enough.join();
        subscription.cancel(true);
        return records;
    }

    private static Map<String, Object> told(String shard, Record record) {
        return Map.of(
            "shard", shard,
            "sequence", record.sequenceNumber(),
            "key", record.partitionKey(),
            "data", Base64.getEncoder().encodeToString(record.data().asByteArray()),
            "arrived", record.approximateArrivalTimestamp().toEpochMilli());
    }

    private static Map<String, String> refusal(Runnable call) {
        try {
            call.run();
        } catch (KinesisException error) {
            return Map.of("class", error.getClass().getSimpleName(), "message", error.getMessage());
        }
        return Map.of("class", "none", "message", "it was not refused");
    }
}
