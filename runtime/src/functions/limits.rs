//! Every fixed limit of this room, with its unit in its name. What a deployment chooses is in `FunctionSettings`.

use std::time::Duration;

use tidemill_stream::limits::{APPEND_RECORDS_MAX, PUT_BYTES_MAX, RECORD_BYTES_DEFAULT};

/// Characters of a function's name (Lambda: 64).
pub const FUNCTION_NAME_CHARS_MAX: usize = 64;
/// Functions of one node.
pub const FUNCTIONS_MAX: usize = 1_000;

/// Bytes of a function's wasm file.
pub const WASM_BYTES_MAX: usize = 64 << 20;
/// Bytes of the names and values of a function's configuration.
pub const CONFIG_BYTES_MAX: usize = 64 << 10;
/// Linear memory that a function may be given, in bytes: at least what a small guest starts with.
pub const MEMORY_BYTES_MIN: usize = 1 << 20;
/// Linear memory that a function may be given, in bytes: what a 32-bit guest can address.
pub const MEMORY_BYTES_MAX: usize = 4 << 30;
/// The shortest time limit of a call, in milliseconds.
pub const TIMEOUT_MS_MIN: u64 = 1;
/// The longest time limit of a call, in milliseconds (Lambda: 900 s).
pub const TIMEOUT_MS_MAX: u64 = 900_000;

/// Instances that lanes keep between calls, on one node, unless the options say otherwise. Each takes about 7 of the
/// 65,530 memory maps that Linux gives a process by default, and 4 GiB of its 128 TiB of addresses.
pub const INSTANCES_WARM_DEFAULT: usize = 1_000;
/// Instances of one call each, for the lanes that have no warm one, at once on one node, unless the options say otherwise.
pub const INSTANCES_TRANSIENT_DEFAULT: usize = 64;

/// How long guest code runs before it lets others run.
pub(super) const EPOCH_TICK: Duration = Duration::from_millis(5);
/// How many guest polls a thread of the guest runtime makes before it looks at timers and new calls. A poll lasts up to
/// an epoch tick, so this bounds how late a timeout is noticed when every thread is busy.
pub(super) const POLLS_PER_TIMER_CHECK: u32 = 1;

/// Core instances of one component instance.
pub(super) const CORE_INSTANCES_MAX: usize = 100;
/// Tables of one component instance.
pub(super) const TABLES_MAX: usize = 100;
/// Elements of all the tables of one component instance.
pub(super) const TABLE_ELEMENTS_MAX: usize = 200_000;
/// Linear memories of one component instance.
pub(super) const MEMORIES_MAX: usize = 16;
/// Resource handles of one component instance (pollables, streams).
pub(super) const HANDLES_MAX: usize = 1_000;
/// Bytes that a guest may hand to the host in one host call: a record, its stream's name and what they cost.
pub(super) const HOST_CALL_BYTES_MAX: usize = RECORD_BYTES_DEFAULT + (64 << 10);
/// Bytes of the response of a function of the world `lambda` (Lambda: 6 MB).
pub const RESPONSE_BYTES_MAX: usize = 6 << 20;
/// The same as [`HOST_CALL_BYTES_MAX`] for a function of the world `lambda`, whose response passes there too. Twice what it
/// may have, so that one that is too large can be told its size.
pub(super) const HOST_CALL_BYTES_LAMBDA_MAX: usize = 2 * RESPONSE_BYTES_MAX;
/// Bytes that a guest may write to a standard stream at once.
pub(super) const OUTPUT_WRITE_BYTES_MAX: usize = 64 << 10;
/// Random bytes that a guest may ask for in one host call.
pub(super) const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Records that a function may emit in one call: what a stream takes at once.
pub const EMITTED_RECORDS_PER_CALL_MAX: usize = APPEND_RECORDS_MAX;
/// Data and partition keys that a function may emit in one call, bytes: what a stream takes at once.
pub const EMITTED_BYTES_PER_CALL_MAX: usize = PUT_BYTES_MAX;

/// Bytes of one line of a function's output; longer lines are cut.
pub const LOG_LINE_BYTES_MAX: usize = 8 << 10;
/// Bytes of a function's output in one call, each line counted with [`LOG_LINE_COST_BYTES`] on top.
pub const LOG_BYTES_PER_CALL_MAX: usize = 256 << 10;
/// What a line costs besides its text, so that empty lines have a limit too.
pub const LOG_LINE_COST_BYTES: usize = 64;
/// Bytes of the last lines of one function that the node keeps in memory, counted as above.
pub const LOG_KEPT_BYTES_MAX: usize = 256 << 10;
/// Bytes of standard error that are kept to explain a trap.
pub(super) const STDERR_TAIL_BYTES_MAX: usize = 4 << 10;
/// Bytes of the text with which a function explains a failure.
pub const FAILURE_BYTES_MAX: usize = 4 << 10;

/// Bytes of the compiled cache's key.
pub(super) const CACHE_KEY_BYTES: usize = 32;
/// Bytes of the compiled cache unless the options say otherwise.
pub const CACHE_BYTES_DEFAULT: u64 = 1 << 30;
