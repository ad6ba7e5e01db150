//! The limits of connections and requests.

use std::time::Duration;

/// How much the door takes, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections open at once. A further one takes the place of that which has been idle longest; where none is idle it
    /// waits.
    pub connections_max: usize,
    /// How long a connection may take for the head of a request, idle time before it included. One that asks nothing
    /// for so long is closed.
    pub header_timeout: Duration,
    /// How long an HTTP/1.1 connection that asks nothing keeps its buffers.
    pub rest_after: Duration,
    /// How long the head of a request may take from its first byte to its last.
    pub head_timeout: Duration,
    /// One request body. 10 MiB of records are 13.4 MiB of base64.
    pub body_bytes_max: usize,
    /// The bytes that have arrived of all request bodies in work; a body that finds no room is refused.
    pub bodies_bytes_max: usize,
    /// How long a request body may go without a byte.
    pub body_progress_timeout: Duration,
    /// All answers that are not sent yet; one that finds no room is refused, unless it is small.
    pub answers_bytes_max: usize,
    /// How long a connection may go without taking a byte that is ready for it, and how long the rest of an answer may
    /// take once the connection is closed for asking nothing.
    pub write_progress_timeout: Duration,
    /// How long a subscriber over HTTP/2 may leave an event untaken. One over HTTP/1.1 takes bytes as any other answer's.
    pub event_timeout: Duration,
    /// Requests at once on one HTTP/2 connection.
    pub h2_streams_max: u32,
    /// From the head of a request to its answer.
    pub request_timeout: Duration,
    /// How long requests in work may go on after a stop.
    pub drain_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 16_384,
            header_timeout: Duration::from_mins(1),
            rest_after: Duration::from_secs(1),
            head_timeout: Duration::from_secs(10),
            body_bytes_max: 14 << 20,
            bodies_bytes_max: 512 << 20,
            body_progress_timeout: Duration::from_secs(10),
            answers_bytes_max: 512 << 20,
            write_progress_timeout: Duration::from_secs(30),
            event_timeout: Duration::from_mins(1),
            h2_streams_max: 1024,
            request_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Streams that show UPDATING, or DELETING, at once, where that shows late; a further one shows as it is.
pub const DELAYS_SHOWN_MAX: usize = 10_000;
/// Open shards that the API makes at most, unless it is told otherwise (Kinesis, in its largest regions).
pub const SHARDS_DEFAULT: u32 = 20_000;
/// On-demand streams that the API makes at most, unless it is told otherwise (Kinesis: 50, until one asks for more).
pub const ON_DEMAND_STREAMS_DEFAULT: u32 = 1_000;
/// Registered consumers of a stream at most, unless the API is told otherwise (Kinesis).
pub const CONSUMERS_DEFAULT: u32 = 20;
/// The most that it can be set to: they are one document.
pub const CONSUMERS_QUOTA_MAX: u32 = 1_000;
/// The most that shards and on-demand streams can be set to (Kinesis: the most that `DescribeLimits` can say).
pub const QUOTA_MAX: u32 = 1_000_000;
/// A file of access keys.
pub const CREDENTIALS_BYTES_MAX: u64 = 1 << 20;
/// The access keys of a node.
pub const ACCESS_KEYS_MAX: usize = 1_000;
/// The rules of an access key.
pub const KEY_RULES_MAX: usize = 100;

/// An answer up to here needs no room among [`HttpLimits::answers_bytes_max`]: errors and puts are always told.
pub(super) const SMALL_ANSWER_BYTES_MAX: usize = 64 << 10;
/// What is handed over of an answer at once over HTTP/2: the last part is not watched, so it is one that needs no room.
pub(super) const PART_BYTES: usize = SMALL_ANSWER_BYTES_MAX;
/// What is set aside for a request body before any of it has arrived.
pub(super) const BODY_RESERVED_BYTES_MAX: usize = 64 << 10;
/// What is read, and thrown away, of a request body that an answer does not wait for.
pub const LEFTOVER_BYTES_MAX: u64 = 64 << 20;
/// The head of one HTTP/1.1 request; also what is read at once.
pub const H1_HEAD_BYTES_MAX: usize = 256 << 10;
/// The headers of one HTTP/2 request.
pub const H2_HEADER_BYTES_MAX: u32 = 64 << 10;
/// Bytes of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Streams on one page of `ListStreams` (Kinesis).
pub const PAGE_STREAMS_MAX: usize = 100;
/// Shards on one page of `DescribeStream` (Kinesis).
pub const DESCRIBE_SHARDS_MAX: usize = 100;
/// Shards on one page of `ListShards` (Kinesis).
pub const LIST_SHARDS_MAX: usize = 1000;
/// Tags on one page of `ListTagsForStream` (Kinesis).
pub const LIST_TAGS_MAX: usize = 50;
/// Consumers on one page of `ListStreamConsumers` (Kinesis).
pub const LIST_CONSUMERS_MAX: usize = 100;
/// Bytes of a resource policy.
pub const POLICY_BYTES_MAX: usize = 20 << 10;
/// The most warm throughput of a stream (Kinesis: 10 GiB a second).
pub const WARM_THROUGHPUT_MIBPS_MAX: u32 = 10 << 10;
/// How long a shard iterator or a paging token is good (Kinesis).
pub const TOKEN_LIFETIME: Duration = Duration::from_mins(5);
/// Characters of a shard iterator (Kinesis).
pub const ITERATOR_CHARS_MAX: usize = 512;
/// Violations that one answer lists.
pub(super) const VIOLATIONS_MAX: usize = 10;
/// Characters of a wrong value that an answer repeats.
pub(super) const ECHO_CHARS_MAX: usize = 256;
/// Characters of a `User-Agent` that a log line repeats.
pub(super) const USER_AGENT_CHARS_MAX: usize = 256;
/// How long the answer to an order to apply the manifest waits for the outcome: functions may be built meanwhile.
pub(super) const APPLY_TIMEOUT: Duration = Duration::from_mins(10);
/// How long a subscription lasts (Kinesis: 5 minutes).
pub const SUBSCRIPTION_LENGTH: Duration = Duration::from_mins(5);
/// How long after a subscription began no other takes it over (Kinesis: 5 seconds).
pub const SUBSCRIPTION_LOCK: Duration = Duration::from_secs(5);
/// A subscriber has an event so often, with or without records (Kinesis: at least every 5 seconds).
pub const EVENT_INTERVAL: Duration = Duration::from_millis(4750);
/// The events of all subscribers fall on multiples of this.
pub(super) const EVENT_GRID: Duration = Duration::from_millis(500);
/// How often a subscription looks whether its consumer is registered. It is told when that ends; this is for what was not heard.
pub(super) const CONSUMER_CHECK_INTERVAL: Duration = Duration::from_mins(1);
/// Records of one event.
pub const EVENT_RECORDS_MAX: usize = 10_000;
/// Data and partition keys of one event; a larger record comes alone.
pub const EVENT_BYTES_MAX: usize = 256 << 10;
