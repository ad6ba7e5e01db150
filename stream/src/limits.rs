//! Every limit of the store, with its unit in its name. Those that Kinesis sets say so.

use std::time::Duration;

/// Characters of a partition key (Kinesis).
pub const PARTITION_KEY_CHARS_MAX: usize = 256;
/// Data and partition key of one record, unless its stream says otherwise (Kinesis: the default of `MaxRecordSizeInKiB`).
pub const RECORD_BYTES_DEFAULT: usize = 1 << 20;
/// The most that a stream may say (Kinesis: 10 MiB).
pub const RECORD_BYTES_MAX: usize = 10 << 20;
/// Records of one put (Kinesis `PutRecords`).
pub const PUT_RECORDS_MAX: usize = 500;
/// Data and partition keys of one put (Kinesis `PutRecords`).
pub const PUT_BYTES_MAX: usize = 10 << 20;
/// Records that one read returns (Kinesis `GetRecords`).
pub const READ_RECORDS_MAX: usize = 10_000;
/// Data and partition keys that one read returns (Kinesis `GetRecords`).
pub const READ_BYTES_MAX: usize = 10 << 20;
/// User records of one aggregated record that is taken apart, and entries of each of its tables: 40 bytes each in the largest.
pub const AGGREGATE_RECORDS_MAX: usize = 1 << 18;
/// Lanes that work on one shard for one trigger (Lambda's `ParallelizationFactor`).
pub const LANES_MAX: usize = 10;
/// Shards of one stream (Kinesis `UpdateShardCount`).
pub const SHARDS_PER_STREAM_MAX: u32 = 10_000;
/// Shards that an on-demand stream begins with, and keeps at least (Kinesis).
pub const ON_DEMAND_SHARDS_MIN: u32 = 4;
/// Shards that an on-demand stream grows to at most (Kinesis: a write capacity of 200 MB/s by default).
pub const ON_DEMAND_SHARDS_MAX: u32 = 200;
/// Records that a shard with limits takes in a second (Kinesis).
pub const SHARD_IN_RECORDS_PER_S: u64 = 1000;
/// Data and partition keys that it takes in a second (Kinesis).
pub const SHARD_IN_BYTES_PER_S: u64 = 1 << 20;
/// Reads of it in a second (Kinesis `GetRecords`).
pub const SHARD_OUT_READS_PER_S: u64 = 5;
/// Data and partition keys that it gives in a second (Kinesis).
pub const SHARD_OUT_BYTES_PER_S: u64 = 2 << 20;
/// From so many shards of a stream on, what is known of those that have rested is dropped.
pub const ALLOWANCES_SWEEP_MIN: usize = 64;
/// Tags of one stream or consumer (Kinesis).
pub const TAGS_MAX: usize = 50;
/// Registered consumers of an on-demand stream where the account has committed itself to a least throughput (Kinesis).
pub const CONSUMERS_COMMITTED_MAX: usize = 50;
/// How long such a commitment lasts at least (Kinesis).
pub const COMMITMENT_MIN: Duration = Duration::from_hours(24);
/// Shards that one stream lists, open and closed.
pub const SHARDS_LISTED_MAX: usize = 50_000;
/// How often a log is sealed anew when it is fenced or in doubt.
pub const RESHARD_TRIES_MAX: usize = 8;
/// How often a shard that was closed is asked where it ends: a read may be of an earlier view.
pub const RESHARD_LOOKS_MAX: usize = 64;
/// How long a hint is waited for in between.
pub const RESHARD_LOOK_WAIT: Duration = Duration::from_millis(10);
/// How long records are kept unless a stream says otherwise (Kinesis).
pub const RETENTION_DEFAULT: Duration = Duration::from_hours(24);

/// Bytes of one document: a compiled function's wasm is the largest.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// From this size on a document lies in a file of its own, beside sled.
pub const BLOB_BYTES_MIN: usize = 64 << 10;
/// How long sled may take to close; after some failures it never does.
pub const SLED_CLOSE_WAIT_MAX: Duration = Duration::from_secs(2);
/// Bytes of large documents that are written before those that nothing refers to are looked for.
pub const BLOB_SWEEP_BYTES: u64 = 32 << 20;
/// Documents that one page of a listing holds, bytes; the first is listed whatever its size.
pub const LIST_BYTES_MAX: usize = 16 << 20;
/// Bytes of a document's or a mark's name.
pub const KEY_BYTES_MAX: usize = 512;
/// How often a put is routed anew when the shard map keeps changing under it.
pub const PUT_ROUTINGS_MAX: usize = 8;
/// How often a change of documents is tried while its outcome is unknown.
pub const CHANGE_TRIES_MAX: usize = 8;
/// Records of one append.
pub const APPEND_RECORDS_MAX: usize = 10_000;
/// Data and partition keys of one append.
pub const APPEND_BYTES_MAX: usize = 10 << 20;
/// All marks of one append.
pub const MARK_BYTES_MAX: usize = 64 << 10;

/// Sizes of a log's segments: the first is small, so that an idle stream costs little; a busy one soon takes the last.
pub const SEGMENT_BYTES: [u64; 4] = [1 << 20, 4 << 20, 16 << 20, 64 << 20];
/// Segments that a slow stream's records of one retention period lie in: so long after they expire they go at most.
pub const SEGMENTS_PER_RETENTION: u32 = 24;
/// Segments at least that a log lies in whose bytes are limited, unless they would be smaller than the smallest.
pub const SEGMENTS_PER_RETENTION_BYTES: u64 = 8;
/// Frames that are kept in memory for readers at the tip, all logs together.
pub const TAIL_BYTES_MAX: usize = 64 << 20;
/// Buffers of frames that left the tail and wait to be filled again, all logs together.
pub const SPARE_BYTES_MAX: usize = 16 << 20;
/// The smallest buffer that is worth it.
pub const SPARE_BUFFER_BYTES_MIN: usize = 64 << 10;
/// Indexes of closed segments that are kept in memory, all logs together.
pub const FOOTER_BYTES_MAX: usize = 64 << 20;
/// Data and partition keys that one commit joins; one append alone may be larger.
pub const COMMIT_BYTES_MAX: usize = 8 << 20;
/// An append of so many bytes is encoded by its caller, as a part of the frame of its own.
pub const BODY_BYTES_MIN: usize = 64 << 10;
/// How long a commit of large appends waits for others.
pub const COMMIT_JOIN_WAIT_MAX: Duration = Duration::from_millis(1);
/// Appends that one commit joins.
pub const COMMIT_APPENDS_MAX: usize = 4096;
/// Threads that write and sync.
pub const COMMIT_THREADS: usize = 16;
/// Bytes of appends that wait for their commit, all logs together.
pub const PENDING_BYTES_MAX: usize = 64 << 20;
/// How long an append waits for room among the pending ones.
pub const PENDING_WAIT: Duration = Duration::from_secs(5);
/// Files that are read for catching up at the same time.
pub const READS_MAX: usize = 16;
/// Files that are kept open; fewer where the process may open fewer.
pub const OPEN_FILES_MAX: usize = 4096;
/// Threads that open logs at the start.
pub const OPENING_THREADS: usize = 8;
/// Keys of puts that one log remembers, a mark each; the other marks of a log are for the rooms above.
pub const ONCE_KEYS_PER_LOG_MAX: u32 = 8000;
/// How long the key of a put is remembered.
pub const ONCE_LIFETIME: Duration = Duration::from_mins(10);
/// Logs whose keys are kept in memory too; those of another are read from its marks again.
pub const ONCE_LOGS_MAX: usize = 64;
/// Reads of one shard that look for the records of a put that is repeated.
pub const ONCE_READS_MAX: usize = 16;
/// Marks of one log.
pub const MARKS_PER_LOG_MAX: usize = 10_000;
/// Changes of documents that wait for their commit.
pub const PENDING_CHANGES_MAX: usize = 1024;
/// Bytes of changes of documents that wait for their commit.
pub const PENDING_CHANGE_BYTES_MAX: usize = 128 << 20;
/// Changes of documents that sled may have in memory alone; then it is brought to the disk.
pub const LAZY_BYTES_MAX: usize = 16 << 20;
/// Space that the disk must have before sled is opened anew after a failure.
pub const REOPEN_FREE_BYTES: u64 = 2 << 20;
/// Space that is kept for deletions on a full disk: sled is opened anew in it, and the meta log begins a segment.
pub const RESERVE_BYTES: u64 = 4 << 20;
/// How much larger a document may become and still count as one that needs no space.
pub const RESERVE_GROWTH_BYTES_MAX: usize = 16;
/// How often sled's folder is looked at until its last writer has let go of it.
pub const REOPEN_TRIES_MAX: usize = 100;
/// How long it is left alone in between.
pub const REOPEN_PAUSE: Duration = Duration::from_millis(10);
/// Changes of documents that one commit joins.
pub const COMMIT_CHANGES_MAX: usize = 256;
/// Bytes of the log of documents after which sled is brought to the disk and the log trimmed.
pub const CHECKPOINT_BYTES: u64 = 8 << 20;
/// Memory that sled may use for its pages.
pub const DOCUMENT_CACHE_BYTES: u64 = 64 << 20;
/// Findings that a check of a data folder keeps; of those behind them it keeps the number.
pub const FSCK_FINDINGS_MAX: usize = 10_000;
/// The largest segment file that a check of a data folder reads: the largest segment with its footer is far smaller.
pub const FSCK_SEGMENT_BYTES_MAX: u64 = 512 << 20;
