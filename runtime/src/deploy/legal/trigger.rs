//! What a manifest may say of a trigger.

use std::time::Duration;

use tidemill_stream::limits::LANES_MAX;

use super::{Bounded, Field, Flag, Legal, Plain, Ranged, needed, optional};
use crate::limits::{
    BATCH_RECORDS_DEFAULT, BATCH_RECORDS_MAX, BATCH_WINDOW_MAX, DESTINATION_URL_CHARS_MAX, RECORD_AGE_MAX,
    RECORD_AGE_MIN, RETRIES_MAX, TRIGGER_NAME_CHARS_MAX, TUMBLING_WINDOW_MAX, TUMBLING_WINDOW_MIN,
    VARIABLE_NAME_CHARS_MAX,
};
use crate::pattern::PATTERNS_MAX;

/// What a trigger's name has.
pub(in crate::deploy) const TRIGGER_NAME_RULE: &str = "1 to 64 characters of a-z, A-Z, 0-9, '_' and '-'";

pub(in crate::deploy) const NAME: Plain = needed("name", "a name that no other trigger has", "score-orders");
pub(in crate::deploy) const STREAM_NAME: Plain = needed("stream", "the name of a stream in this manifest", "orders");
pub(in crate::deploy) const FUNCTION_NAME: Plain =
    needed("function", "the name of a function in this manifest", "score");
pub(in crate::deploy) const START: Plain =
    needed("start", "`trim-horizon`, `latest`, or a time like `2026-11-22T00:00:00Z`", "trim-horizon");
pub(in crate::deploy) const ENABLED: Flag = Flag { name: "enabled", default: true, example: "true" };
pub(in crate::deploy) const BATCH_SIZE: Ranged<u64> = Ranged {
    name: "batch_size",
    min: 1,
    max: BATCH_RECORDS_MAX as u64,
    default: BATCH_RECORDS_DEFAULT as u64,
    example: "100",
};
pub(in crate::deploy) const WINDOW: Ranged<Duration> =
    Ranged { name: "window", min: Duration::ZERO, max: BATCH_WINDOW_MAX, default: Duration::ZERO, example: "500ms" };
// More lanes are not possible beside a tumbling window, which the example has.
pub(in crate::deploy) const PARALLELIZATION: Ranged<u64> =
    Ranged { name: "parallelization", min: 1, max: LANES_MAX as u64, default: 1, example: "1" };

/// Writes that a limit is none.
const UNLIMITED: Option<&str> = Some("unlimited");

pub(in crate::deploy) const RETRIES: Bounded<u64> = Bounded {
    name: "retries",
    min: 0,
    max: RETRIES_MAX as u64,
    word: UNLIMITED,
    otherwise: "until it succeeds",
    example: "3",
};
pub(in crate::deploy) const MAX_AGE: Bounded<Duration> = Bounded {
    name: "max_age",
    min: RECORD_AGE_MIN,
    max: RECORD_AGE_MAX,
    word: UNLIMITED,
    otherwise: "as old as the stream keeps them",
    example: "24h",
};
pub(in crate::deploy) const BISECT: Flag = Flag { name: "bisect", default: false, example: "true" };
pub(in crate::deploy) const REPORT_FAILURES: Flag = Flag { name: "report_failures", default: false, example: "true" };
pub(in crate::deploy) const FILTER: Plain = optional(
    "filter",
    "a list of 1 to 10 patterns, each a map or a text of JSON",
    "every record",
    "[{ data: { amount: [{ numeric: [\">\", 100] }] } }]",
);
pub(in crate::deploy) const ON_FAILURE: Plain =
    optional("on_failure", "the name of a stream in this manifest, or a map", "nobody is told", "dead-letters");
pub(in crate::deploy) const TUMBLING_WINDOW: Bounded<Duration> = Bounded {
    name: "tumbling_window",
    min: TUMBLING_WINDOW_MIN,
    max: TUMBLING_WINDOW_MAX,
    word: None,
    otherwise: "no windows",
    example: "1m",
};
pub(in crate::deploy) const SEMANTICS: Plain =
    optional("semantics", "`tidemill` or `lambda`", "`tidemill`", "tidemill");

/// A trigger.
pub(in crate::deploy) const TRIGGER: Legal = Legal {
    fields: &[
        Field::other(&NAME, "How far it has come is remembered under this name: another name begins anew."),
        Field::other(&STREAM_NAME, "Whose records it delivers. Another stream begins anew."),
        Field::other(&FUNCTION_NAME, "What it calls. With another function it goes on where it is."),
        Field::other(
            &START,
            "Where it begins when it is created: at the oldest record, behind the newest, or at the first record that \
             arrived at a time or later. Another start begins anew.",
        ),
        Field::flag(&ENABLED, "Whether it delivers. One that does not keeps its place, and goes on there."),
        Field::count(&BATCH_SIZE, "Records of one call at most. A call waits for more only as long as `window` says."),
        Field::duration(
            &WINDOW,
            "How long a record waits at most until its batch is full. These stretches follow one another from the end of the \
             last call on. `0ms`: it does not wait.",
        ),
        Field::count(
            &PARALLELIZATION,
            "Batches of one shard that are worked on at once. Those of a partition key still come one after another, in order.",
        ),
        Field::count_or_none(
            &RETRIES,
            "How often a batch that the function failed is delivered again; then its records are given up. `0`: it is \
             delivered once.",
        ),
        Field::duration_or_none(&MAX_AGE, "How old a record may be that is delivered. Older ones are given up."),
        Field::flag(
            &BISECT,
            "Whether a batch that the function failed is delivered again in two halves, down to single records. That \
             uses up no retry.",
        ),
        Field::flag(
            &REPORT_FAILURES,
            "Whether the function says which records it did not take, as Lambda's `ReportBatchItemFailures`: the trigger \
             goes on at the first of them. It needs a function of the world `lambda`.",
        ),
        Field::other(
            &FILTER,
            "Which records are delivered: those that match one of the patterns, which are EventBridge's as Lambda takes \
             them, on `data` (JSON) and `partitionKey`. The others are passed over. Numbers among values are compared as \
             they are written, and YAML writes `3.10` as `3.1`, and those above 2^64 with an exponent: where that matters, \
             write the pattern as a text ([Filters](functions.md#only-some-of-the-records)).",
        ),
        Field::other(
            &ON_FAILURE,
            "Who is told of records that are given up ([When a batch fails](functions.md#when-a-batch-fails)). The name of a \
             stream is short for `{ stream: NAME }`.",
        ),
        Field::duration_or_none(
            &TUMBLING_WINDOW,
            "The length of the windows for which the function keeps a state, whole seconds: stretches of arrival time, one after \
             another. It needs a function of the world `lambda`, and `parallelization: 1`.",
        ),
        Field::other(
            &SEMANTICS,
            "Whose rules it follows where they differ. With `tidemill` the function gets the user records of aggregated \
             records, as the Kinesis Producer Library puts them; with `lambda` every record as it was put \
             ([All that differs](aws.md#two-semantics)).",
        ),
    ],
    planned: &[],
};

pub(in crate::deploy) const TOLD_STREAM: Plain =
    optional("stream", "the name of a stream in this manifest", "write one of the three", "dead-letters");
pub(in crate::deploy) const FOLDER: Plain =
    optional("folder", "a folder, seen from the manifest's folder", "write one of the three", "dead-letters");
pub(in crate::deploy) const URL: Plain = optional(
    "url",
    "an address, `http://` or `https://`, of up to 2048 characters",
    "write one of the three",
    "https://hooks.example.com/orders",
);
pub(in crate::deploy) const SECRET: Plain =
    optional("secret", "the name of an environment variable", "requests are not signed", "HOOK_SECRET");

/// Who is told of records that are given up.
pub(in crate::deploy) const DESTINATION: Legal = Legal {
    fields: &[
        Field::other(&TOLD_STREAM, "A record is put on it."),
        Field::other(&FOLDER, "A file is written, named as Lambda names its objects in S3. It has the records too."),
        Field::other(
            &URL,
            "It gets a POST. `tidemill deploy` and `GET /deployment` show the address: no passwords in it, that is what \
             `secret` is for.",
        ),
        Field::other(&SECRET, "With `url`: the variable of the node that has the key which requests are signed with."),
    ],
    planned: &[],
};

/// What the words above say of limits is what the limits are.
const _: () = assert!(TRIGGER_NAME_CHARS_MAX == 64 && VARIABLE_NAME_CHARS_MAX == 128);
const _: () = assert!(PATTERNS_MAX == 10 && DESTINATION_URL_CHARS_MAX == 2048);
