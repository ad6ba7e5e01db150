//! `docs/limits.md` has the numbers of the constants.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill::functions::{FunctionSettings, limits as functions};
use tidemill::http::{HttpLimits, limits as http};
use tidemill::{limits as node, pattern};
use tidemill_stream::limits as stream;
use tidemill_stream::name::STREAM_NAME_CHARS_MAX;

use crate::page;

/// `10,000`.
fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().ok().unwrap().to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `64 KiB`; bytes that fill no unit are `6,000,000 bytes`.
fn bytes(number: impl TryInto<u64>) -> String {
    let number = number.try_into().ok().unwrap();
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("bytes", 1)];
    let (unit, size) = units.into_iter().find(|(_, size)| number % size == 0).unwrap();
    format!("{} {unit}", count(number / size))
}

/// `5 min`.
fn time(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap();
    let units = [("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];
    let (unit, size) = units.into_iter().find(|(_, size)| millis % size == 0).unwrap();
    format!("{} {unit}", count(millis / size))
}

fn chars(number: usize) -> String {
    format!("{} characters", count(number))
}

/// What the first column of the page's tables must say, and the second.
fn limits() -> Vec<(&'static str, String)> {
    [streams(), requests(), functions_of_a_node(), triggers(), manifest(), node_itself()].concat()
}

fn streams() -> Vec<(&'static str, String)> {
    vec![
        ("Name of a stream", chars(STREAM_NAME_CHARS_MAX)),
        ("Shards of a stream", count(stream::SHARDS_PER_STREAM_MAX)),
        ("Shards that a stream lists, open and closed", count(stream::SHARDS_LISTED_MAX)),
        ("Shards of an on-demand stream, first and least", count(stream::ON_DEMAND_SHARDS_MIN)),
        ("Shards of an on-demand stream, most", count(stream::ON_DEMAND_SHARDS_MAX)),
        ("Retention, default", time(stream::RETENTION_DEFAULT)),
        ("Retention, shortest", time(node::RETENTION_MIN)),
        ("Retention, longest", time(node::RETENTION_MAX)),
        ("`--disk-quota`, least", bytes(node::DISK_QUOTA_BYTES_MIN as usize)),
        ("`retention_bytes`, least", bytes(node::RETENTION_BYTES_MIN as usize)),
        ("`retention_bytes`, most", bytes(node::RETENTION_BYTES_MAX as usize)),
        ("Open shards that the API makes, all streams together", count(http::SHARDS_DEFAULT)),
        ("On-demand streams that the API makes", count(http::ON_DEMAND_STREAMS_DEFAULT)),
        ("Tags of a stream or a consumer", count(stream::TAGS_MAX)),
        ("Policy of a stream or a consumer", bytes(http::POLICY_BYTES_MAX)),
        ("Registered consumers of a stream", count(http::CONSUMERS_DEFAULT as usize)),
        ("The same of an on-demand stream with a commitment", count(stream::CONSUMERS_COMMITTED_MAX)),
        ("A commitment to a least throughput, least", time(stream::COMMITMENT_MIN)),
        ("Warm throughput of a stream, MiB a second", count(http::WARM_THROUGHPUT_MIBPS_MAX)),
        ("Consumers on a page of `ListStreamConsumers`", count(http::LIST_CONSUMERS_MAX)),
        ("Tags on a page of `ListTagsForStream`", count(http::LIST_TAGS_MAX)),
        (
            "Streams that show UPDATING, or DELETING, at once ([testing aids](testing.md#clients-that-shall-fail-well))",
            count(http::DELAYS_SHOWN_MAX),
        ),
        ("What has expired is looked for every", time(node::EXPIRY_INTERVAL)),
        ("Data and partition key of a record, default", bytes(stream::RECORD_BYTES_DEFAULT)),
        ("The same, most", bytes(stream::RECORD_BYTES_MAX)),
        ("Partition key", chars(stream::PARTITION_KEY_CHARS_MAX)),
        ("Records of one `PutRecords`", count(stream::PUT_RECORDS_MAX)),
        ("Records of one request over plain HTTP", count(stream::APPEND_RECORDS_MAX)),
        ("Data and partition keys of one put", bytes(stream::PUT_BYTES_MAX)),
        ("`Idempotency-Key`", chars(http::IDEMPOTENCY_KEY_BYTES_MAX)),
        ("Idempotency keys of a stream", count(stream::ONCE_KEYS_PER_LOG_MAX)),
        ("An idempotency key is remembered", time(stream::ONCE_LIFETIME)),
        ("Puts that wait for the disk, all together", bytes(stream::PENDING_BYTES_MAX)),
        ("A put waits for room among them", time(stream::PENDING_WAIT)),
        ("Records that a shard takes in a second, with `capacity: provisioned`", count(stream::SHARD_IN_RECORDS_PER_S)),
        ("Data and partition keys that it takes in a second", bytes(stream::SHARD_IN_BYTES_PER_S)),
        ("`GetRecords` of a shard in a second, with `capacity: provisioned`", count(stream::SHARD_OUT_READS_PER_S)),
        ("Data and partition keys that it gives in a second", bytes(stream::SHARD_OUT_BYTES_PER_S)),
        ("Records of one `GetRecords`", count(stream::READ_RECORDS_MAX)),
        ("Data and partition keys of one `GetRecords`", bytes(stream::READ_BYTES_MAX)),
        ("Shard iterators and paging tokens are good for", time(http::TOKEN_LIFETIME)),
        ("Shard iterator", chars(http::ITERATOR_CHARS_MAX)),
        ("Streams on a page of `ListStreams`", count(http::PAGE_STREAMS_MAX)),
        ("Shards on a page of `DescribeStream`", count(http::DESCRIBE_SHARDS_MAX)),
        ("Shards on a page of `ListShards`", count(http::LIST_SHARDS_MAX)),
    ]
}

fn requests() -> Vec<(&'static str, String)> {
    let limits = HttpLimits::default();
    vec![
        ("Connections", count(limits.connections_max)),
        ("Requests at once on an HTTP/2 connection", count(limits.h2_streams_max)),
        ("Head of an HTTP/1.1 request", bytes(http::H1_HEAD_BYTES_MAX)),
        ("Headers of an HTTP/2 request", bytes(http::H2_HEADER_BYTES_MAX)),
        ("A connection that asks nothing", time(limits.header_timeout)),
        ("The same, until its buffers are given back", time(limits.rest_after)),
        ("The head of a request, from its first byte", time(limits.head_timeout)),
        ("File of encryption keys", bytes(node::ENCRYPTION_KEYS_BYTES_MAX as usize)),
        ("Encryption keys", count(node::ENCRYPTION_KEYS_MAX)),
        ("File of a certificate, or of its key", bytes(node::CERTIFICATE_BYTES_MAX as usize)),
        ("It is looked whether they have changed every", time(node::CERTIFICATE_CHECK_INTERVAL)),
        ("File of access keys", bytes(http::CREDENTIALS_BYTES_MAX as usize)),
        ("Access keys", count(http::ACCESS_KEYS_MAX)),
        ("Rules of an access key", count(http::KEY_RULES_MAX)),
        ("Body of a request", bytes(limits.body_bytes_max)),
        ("A body that makes no progress", time(limits.body_progress_timeout)),
        ("What is read of a body that its answer does not wait for", {
            format!("{}, for {}", bytes(http::LEFTOVER_BYTES_MAX), time(limits.body_progress_timeout))
        }),
        ("A request, from its head to its answer", time(limits.request_timeout)),
        ("An answer that is not taken", time(limits.write_progress_timeout)),
        ("Bodies in work, all together", bytes(limits.bodies_bytes_max)),
        ("Answers not sent yet, all together", bytes(limits.answers_bytes_max)),
        ("A subscription to a shard", time(http::SUBSCRIPTION_LENGTH)),
        ("No other takes it over for", time(http::SUBSCRIPTION_LOCK)),
        ("A subscriber has an event every", time(http::EVENT_INTERVAL)),
        ("Records of one event", count(http::EVENT_RECORDS_MAX)),
        ("Data and partition keys of one event", bytes(http::EVENT_BYTES_MAX)),
        ("A subscriber over HTTP/2 that leaves an event untaken", time(limits.event_timeout)),
        ("Requests in work when the node stops", time(limits.drain_timeout)),
    ]
}

fn functions_of_a_node() -> Vec<(&'static str, String)> {
    let settings = FunctionSettings::default();
    vec![
        ("Name of a function", chars(functions::FUNCTION_NAME_CHARS_MAX)),
        ("Functions of a node", count(functions::FUNCTIONS_MAX)),
        ("A function's wasm file", bytes(functions::WASM_BYTES_MAX)),
        ("Names and values of its `config`", bytes(functions::CONFIG_BYTES_MAX)),
        ("`memory`, default", bytes(settings.memory_bytes)),
        ("`memory`, least", bytes(functions::MEMORY_BYTES_MIN)),
        ("`memory`, most", bytes(functions::MEMORY_BYTES_MAX)),
        ("`timeout`, default", time(settings.timeout)),
        ("`timeout`, shortest", time(Duration::from_millis(functions::TIMEOUT_MS_MIN))),
        ("`timeout`, longest", time(Duration::from_millis(functions::TIMEOUT_MS_MAX))),
        ("Warm instances", count(functions::INSTANCES_WARM_DEFAULT)),
        ("Instances of one call, at once", count(functions::INSTANCES_TRANSIENT_DEFAULT)),
        ("A line of a function's log", bytes(functions::LOG_LINE_BYTES_MAX)),
        ("Log of one call", bytes(functions::LOG_BYTES_PER_CALL_MAX)),
        ("Lines that the node keeps for `tidemill logs`, each function", bytes(functions::LOG_KEPT_BYTES_MAX)),
        ("Lines of one answer to `tidemill logs`", count(node::LOG_PAGE_LINES_MAX)),
        ("Records that a call emits", count(functions::EMITTED_RECORDS_PER_CALL_MAX)),
        ("Data and partition keys that a call emits", bytes(functions::EMITTED_BYTES_PER_CALL_MAX)),
        ("Streams that a function may emit to", count(node::EMIT_STREAMS_MAX)),
        ("Response of a function of the world `lambda`", bytes(functions::RESPONSE_BYTES_MAX)),
        ("Text of a failure", bytes(functions::FAILURE_BYTES_MAX)),
        ("Compiled functions that are kept", bytes(functions::CACHE_BYTES_DEFAULT)),
    ]
}

fn triggers() -> Vec<(&'static str, String)> {
    vec![
        ("Name of a trigger", chars(node::TRIGGER_NAME_CHARS_MAX)),
        ("`batch_size`, default", count(node::BATCH_RECORDS_DEFAULT)),
        ("`batch_size`, most", count(node::BATCH_RECORDS_MAX)),
        ("`window`, longest", time(node::BATCH_WINDOW_MAX)),
        ("`parallelization`, most", count(stream::LANES_MAX)),
        ("`retries`, most", count(node::RETRIES_MAX)),
        ("`max_age`, least", time(node::RECORD_AGE_MIN)),
        ("`max_age`, most", time(node::RECORD_AGE_MAX)),
        ("Patterns of a `filter`", count(pattern::PATTERNS_MAX)),
        ("Pattern of a `filter`", chars(pattern::PATTERN_CHARACTERS_MAX)),
        ("Fields of a pattern, each combination of its `$or`s written out", count(pattern::COMBINED_FIELDS_MAX)),
        ("Address of `on_failure`", chars(node::DESTINATION_URL_CHARS_MAX)),
        ("Attempts to tell it, with `semantics: lambda`", count(node::DESTINATION_ATTEMPTS_LAMBDA)),
        ("`tumbling_window`, shortest", time(node::TUMBLING_WINDOW_MIN)),
        ("`tumbling_window`, longest", time(node::TUMBLING_WINDOW_MAX)),
        ("State of a tumbling window", bytes(node::WINDOW_STATE_BYTES_MAX)),
        ("A tumbling window with nothing behind it is closed after its end by", time(node::WINDOW_GRACE)),
        ("Data and partition keys of a batch", bytes(node::BATCH_BYTES_MAX)),
        ("Event of a batch, with `semantics: lambda`", bytes(node::EVENT_BYTES_MAX)),
        ("Records that wait in a lane beyond its next batch", count(node::LANE_AHEAD_RECORDS)),
        ("Their data and partition keys", bytes(node::LANE_AHEAD_BYTES)),
        ("Batches of a lane before others have their turn", count(node::LANE_TURN_BATCHES)),
        ("What all lanes hold, waiting and in work", bytes(node::LANES_BYTES_MAX)),
        ("What a lane takes in then", bytes(node::LANE_BYTES_SHORT)),
        ("A cursor moves again after", time(node::CURSOR_PACE)),
        ("User records of an aggregated record, and keys of it", count(stream::AGGREGATE_RECORDS_MAX)),
        ("Wait before the first retry, at most", time(node::RETRY_BACKOFF_BASE)),
        ("Wait before any retry, at most", time(node::RETRY_BACKOFF_CAP)),
        ("A trigger that has nothing to do looks again after", time(node::TIP_WAIT_FIRST)),
        ("The same, at most", time(node::TIP_WAIT_MAX)),
        ("A batch in work when its trigger stops", time(node::POLLER_STOP_DEADLINE)),
        ("Letters of `semantics: lambda`, attempts", count(node::DESTINATION_ATTEMPTS_LAMBDA)),
        ("A server that a letter is sent to, until it has answered", time(node::DESTINATION_TIMEOUT)),
        ("Head of its answer", bytes(node::DESTINATION_HEAD_BYTES_MAX)),
        ("Body of a refusal", bytes(node::DESTINATION_ANSWER_BYTES_MAX)),
        ("The same, in an error", chars(node::DESTINATION_ANSWER_CHARS_MAX)),
        ("Error that the status shows", chars(node::STATUS_ERROR_CHARS_MAX)),
    ]
}

fn manifest() -> Vec<(&'static str, String)> {
    vec![
        ("Manifest", bytes(node::MANIFEST_BYTES_MAX)),
        ("Tokens of `ingest`", count(node::INGEST_TOKENS_MAX)),
        ("Origins of `ingest`", count(node::INGEST_ORIGINS_MAX)),
        ("Name of an environment variable", chars(node::VARIABLE_NAME_CHARS_MAX)),
    ]
}

fn node_itself() -> Vec<(&'static str, String)> {
    vec![
        ("Newest records, for readers at the tip", bytes(stream::TAIL_BYTES_MAX)),
        ("Buffers that wait to be filled again", bytes(stream::SPARE_BYTES_MAX)),
        ("Indexes of older segments", bytes(stream::FOOTER_BYTES_MAX)),
        ("Pages of documents", bytes(stream::DOCUMENT_CACHE_BYTES)),
        ("Open segment files", count(stream::OPEN_FILES_MAX)),
        ("Reads of older records at once", count(stream::READS_MAX)),
        ("Threads that write and sync", count(stream::COMMIT_THREADS)),
        ("Largest segment", bytes(stream::SEGMENT_BYTES[3])),
        ("Space kept for deletions on a full disk", bytes(stream::RESERVE_BYTES)),
        ("Findings that `tidemill fsck` lists", count(stream::FSCK_FINDINGS_MAX)),
    ]
}

#[test]
fn the_page_has_the_numbers_of_the_constants() {
    let page = page::read("limits.md");
    let rows = page::rows(&page, "limit");
    let told: BTreeMap<&str, &str> = rows.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(told.len(), rows.len(), "a limit has two rows");
    let limits = limits();
    for (name, number) in &limits {
        assert_eq!(told.get(name), Some(&number.as_str()), "docs/limits.md must have a row '{name}' with this number");
    }
    for name in told.keys() {
        assert!(
            limits.iter().any(|(known, _)| known == name),
            "docs/limits.md has '{name}', which no constant vouches for"
        );
    }
}

#[test]
fn numbers_are_written_as_people_read_them() {
    assert_eq!([count(7_u32), count(1000_u32), count(1_234_567_u32)], ["7", "1,000", "1,234,567"]);
    assert_eq!([bytes(14_u64 << 20), bytes(6_000_000_u32), bytes(4_u64 << 30)], ["14 MiB", "6,000,000 bytes", "4 GiB"]);
    assert_eq!([time(Duration::from_hours(24)), time(Duration::from_millis(100))], ["24 h", "100 ms"]);
}
