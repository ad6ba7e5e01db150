//! Every limit of the node above the store, with its unit in its name. Those that Lambda sets say so.

use std::time::Duration;

/// A file of encryption keys.
pub const ENCRYPTION_KEYS_BYTES_MAX: u64 = 1 << 20;
/// Keys in it.
pub const ENCRYPTION_KEYS_MAX: usize = 1_000;
/// A file with a certificate, and those behind it, or with a key.
pub const CERTIFICATE_BYTES_MAX: u64 = 1 << 20;
/// How often it is looked whether a certificate has changed.
pub const CERTIFICATE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How long a certificate that a node makes is good: ten years, since who trusts it must be given the next one by hand.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);
/// How long before it is made it is good, for clients whose clocks are late.
pub const CERTIFICATE_SLACK: Duration = Duration::from_hours(24);
/// Bytes of a manifest.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Characters of a trigger's name.
pub const TRIGGER_NAME_CHARS_MAX: usize = 64;

/// Streams that one function may emit to.
pub const EMIT_STREAMS_MAX: usize = 100;
/// Orders to apply the manifest that wait for their turn.
pub const APPLY_ORDERS_WAITING_MAX: usize = 4;

/// Bearer tokens that a manifest names.
pub const INGEST_TOKENS_MAX: usize = 100;
/// Origins of pages that a manifest names.
pub const INGEST_ORIGINS_MAX: usize = 100;
/// Characters of the name of an environment variable.
pub const VARIABLE_NAME_CHARS_MAX: usize = 128;

/// The shortest retention (Kinesis).
pub const RETENTION_MIN: Duration = Duration::from_hours(24);
/// The least quota of disk: a few streams with a record each have room.
pub const DISK_QUOTA_BYTES_MIN: u64 = 16 << 20;
/// The least that a stream's retention in bytes can be: its log has eight segments of the smallest size then.
pub const RETENTION_BYTES_MIN: u64 = 8 << 20;
/// The most: 1 PiB, more than a disk has.
pub const RETENTION_BYTES_MAX: u64 = 1 << 50;
/// The longest retention (Kinesis: 365 days).
pub const RETENTION_MAX: Duration = Duration::from_hours(8760);

/// Records of one batch (Lambda).
pub const BATCH_RECORDS_MAX: usize = 10_000;
/// Records of one batch unless the manifest says otherwise (Lambda).
pub const BATCH_RECORDS_DEFAULT: usize = 100;
/// How long a batch may wait for more records (Lambda: 300 s).
pub const BATCH_WINDOW_MAX: Duration = Duration::from_mins(5);
/// How often a failed batch may be delivered again, where that is limited (Lambda).
pub const RETRIES_MAX: u32 = 10_000;
/// The least age at which records may be given up (Lambda: 60 s).
pub const RECORD_AGE_MIN: Duration = Duration::from_mins(1);
/// The greatest (Lambda: 604,800 s).
pub const RECORD_AGE_MAX: Duration = Duration::from_hours(168);
/// The shortest tumbling window (Lambda: 1 s).
pub const TUMBLING_WINDOW_MIN: Duration = Duration::from_secs(1);
/// The longest (Lambda: 900 s).
pub const TUMBLING_WINDOW_MAX: Duration = Duration::from_mins(15);
/// Characters of the address that is told of records which were given up.
pub const DESTINATION_URL_CHARS_MAX: usize = 2048;
/// Data and partition keys of one batch, bytes (Lambda: 6 MB).
pub const BATCH_BYTES_MAX: usize = 6_000_000;
/// An event of a trigger with Lambda's semantics, bytes of JSON (Lambda: 6 MB).
pub const EVENT_BYTES_MAX: usize = 6 << 20;
/// The state of a tumbling window, bytes of JSON (Lambda: 1 MB a shard).
pub const WINDOW_STATE_BYTES_MAX: usize = 1 << 20;
/// How long behind a tumbling window's end records may still come to light that arrived in it.
pub const WINDOW_GRACE: Duration = Duration::from_secs(1);
/// How often a trigger with Lambda's semantics tries to tell its destination of records that it gives up.
pub const DESTINATION_ATTEMPTS_LAMBDA: u32 = 3;
/// How long the receiver of a letter over HTTP may take, from the search for its address to the head of its answer.
pub const DESTINATION_TIMEOUT: Duration = Duration::from_secs(15);
/// The head of a receiver's answer, bytes.
pub const DESTINATION_HEAD_BYTES_MAX: usize = 64 << 10;
/// What is read of a refusal's body, bytes.
pub const DESTINATION_ANSWER_BYTES_MAX: usize = 4 << 10;
/// Characters of a refusal's body that an error has.
pub const DESTINATION_ANSWER_CHARS_MAX: usize = 200;
/// The bound of the first retry's random wait.
pub const RETRY_BACKOFF_BASE: Duration = Duration::from_millis(100);
/// The bound of any retry's random wait.
pub const RETRY_BACKOFF_CAP: Duration = Duration::from_secs(10);
/// Records that wait in a lane beyond its next batch are at most so many.
pub const LANE_AHEAD_RECORDS: usize = 2000;
/// And so many bytes.
pub const LANE_AHEAD_BYTES: usize = 1 << 20;
/// Batches that a lane works on before others have their turn; a guest that takes long lets others in anyway.
pub const LANE_TURN_BATCHES: u32 = 8;
/// What all lanes of a node hold, bytes: those that wait and those that are in work.
pub const LANES_BYTES_MAX: usize = 256 << 20;
/// What a lane takes in while all of that is held, bytes.
pub const LANE_BYTES_SHORT: usize = 64 << 10;
/// How long after its last move a cursor moves again; the node does not stop before the last move.
pub const CURSOR_PACE: Duration = Duration::from_millis(20);
/// How long a poller that has come to the tip sleeps at most before it looks again (Lambda polls once a second); each look
/// in vain doubles it.
pub const TIP_WAIT_FIRST: Duration = Duration::from_secs(1);
/// How long a poller at the tip sleeps at most.
pub const TIP_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a batch in flight may go on when its poller is asked to stop.
pub const POLLER_STOP_DEADLINE: Duration = Duration::from_secs(5);
/// Lines of a function that one request is answered with.
pub const LOG_PAGE_LINES_MAX: usize = 1000;
/// How long a request for the next lines of a function may wait for one.
pub const LOG_WAIT_MAX: Duration = Duration::from_secs(20);
/// Characters of an error that the status keeps.
pub const STATUS_ERROR_CHARS_MAX: usize = 2000;
/// How long a trigger that could not be set up waits before it is tried again.
pub const RECONCILE_RETRY_WAIT: Duration = Duration::from_secs(5);
/// How often on-demand streams are looked at, at the most and at the least.
pub const DEMAND_LOOK_PERIOD_MIN: Duration = Duration::from_millis(10);
/// See [`DEMAND_LOOK_PERIOD_MIN`].
pub const DEMAND_LOOK_PERIOD_MAX: Duration = Duration::from_secs(10);
/// How long a split or merge in work, and giving back what has expired, may take when the node stops; the next start goes on
/// with what was cut short.
pub const UPKEEP_STOP_DEADLINE: Duration = Duration::from_secs(5);
/// How long after what has expired was given back it is looked for again.
pub const EXPIRY_INTERVAL: Duration = Duration::from_secs(10);
/// How long the door may take to close: a little longer than it gives the requests in work.
pub const DOOR_STOP_DEADLINE: Duration = Duration::from_secs(15);
