//! What a manifest may say: each part's fields, with what they take, their ranges, defaults and meanings.
//!
//! The reader reads by these tables and `docs/manifest.md` is written from them: so neither says what the other does not.

pub(super) mod trigger;

use std::time::Duration;

use tidemill_stream::limits::{RETENTION_DEFAULT, SHARDS_PER_STREAM_MAX};

use crate::functions::limits::{MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN};
use crate::limits::{
    EMIT_STREAMS_MAX, INGEST_ORIGINS_MAX, INGEST_TOKENS_MAX, RETENTION_BYTES_MAX, RETENTION_BYTES_MIN, RETENTION_MAX,
    RETENTION_MIN, VARIABLE_NAME_CHARS_MAX,
};

/// The fields that a part of a manifest may have.
#[derive(Debug)]
pub(super) struct Legal {
    /// Those that work.
    pub(super) fields: &'static [Field],
    /// Those that will, and what holds until then.
    pub(super) planned: &'static [(&'static str, &'static str)],
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) takes: Takes,
    /// What it means.
    pub(super) about: &'static str,
}

/// What a field takes.
#[derive(Debug)]
pub(super) enum Takes {
    /// A whole number.
    Count(&'static Ranged<u64>),
    /// A number with a unit of time.
    Duration(&'static Ranged<Duration>),
    /// A number with a unit of size; bytes.
    Size(&'static Ranged<u64>),
    /// A whole number that may be left out.
    CountOrNone(&'static Bounded<u64>),
    /// A number with a unit of time that may be left out.
    DurationOrNone(&'static Bounded<Duration>),
    /// Whether something is so.
    Flag(&'static Flag),
    /// Anything else.
    Other(&'static Plain),
}

/// The default of a size that nothing limits.
pub(super) const NO_LIMIT: u64 = u64::MAX;

/// A field whose value lies in a range.
#[derive(Debug)]
pub(super) struct Ranged<T> {
    pub(super) name: &'static str,
    pub(super) min: T,
    pub(super) max: T,
    /// What it is when it is left out.
    pub(super) default: T,
    pub(super) example: &'static str,
}

/// A field whose value lies in a range, and which has none when it is left out.
#[derive(Debug)]
pub(super) struct Bounded<T> {
    pub(super) name: &'static str,
    pub(super) min: T,
    pub(super) max: T,
    /// The word that says that it has none, if there is such a word.
    pub(super) word: Option<&'static str>,
    /// What holds then, in words.
    pub(super) otherwise: &'static str,
    pub(super) example: &'static str,
}

/// A field that is true or false.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    /// What it is when it is left out.
    pub(super) default: bool,
    pub(super) example: &'static str,
}

/// Any other field.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) name: &'static str,
    /// What it takes, in words.
    pub(super) takes: &'static str,
    /// What it is when it is left out, in words; none where it must not be.
    pub(super) default: Option<&'static str>,
    pub(super) example: &'static str,
}

impl Field {
    const fn count(of: &'static Ranged<u64>, about: &'static str) -> Self {
        Self { takes: Takes::Count(of), about }
    }

    const fn duration(of: &'static Ranged<Duration>, about: &'static str) -> Self {
        Self { takes: Takes::Duration(of), about }
    }

    const fn size(of: &'static Ranged<u64>, about: &'static str) -> Self {
        Self { takes: Takes::Size(of), about }
    }

    const fn count_or_none(of: &'static Bounded<u64>, about: &'static str) -> Self {
        Self { takes: Takes::CountOrNone(of), about }
    }

    const fn duration_or_none(of: &'static Bounded<Duration>, about: &'static str) -> Self {
        Self { takes: Takes::DurationOrNone(of), about }
    }

    const fn flag(of: &'static Flag, about: &'static str) -> Self {
        Self { takes: Takes::Flag(of), about }
    }

    const fn other(of: &'static Plain, about: &'static str) -> Self {
        Self { takes: Takes::Other(of), about }
    }

    pub(super) const fn name(&self) -> &'static str {
        match &self.takes {
            Takes::Count(ranged) | Takes::Size(ranged) => ranged.name,
            Takes::Duration(ranged) => ranged.name,
            Takes::CountOrNone(bounded) => bounded.name,
            Takes::DurationOrNone(bounded) => bounded.name,
            Takes::Flag(flag) => flag.name,
            Takes::Other(plain) => plain.name,
        }
    }

    pub(super) const fn example(&self) -> &'static str {
        match &self.takes {
            Takes::Count(ranged) | Takes::Size(ranged) => ranged.example,
            Takes::Duration(ranged) => ranged.example,
            Takes::CountOrNone(bounded) => bounded.example,
            Takes::DurationOrNone(bounded) => bounded.example,
            Takes::Flag(flag) => flag.example,
            Takes::Other(plain) => plain.example,
        }
    }
}

impl Legal {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.fields.iter().map(Field::name)
    }
}

const fn optional(name: &'static str, takes: &'static str, default: &'static str, example: &'static str) -> Plain {
    Plain { name, takes, default: Some(default), example }
}

const fn needed(name: &'static str, takes: &'static str, example: &'static str) -> Plain {
    Plain { name, takes, default: None, example }
}

pub(super) const STREAMS: Plain = optional("streams", "a map from names to streams", "no stream", "{}");
pub(super) const FUNCTIONS: Plain = optional("functions", "a map from names to functions", "no function", "{}");
pub(super) const TRIGGERS: Plain = optional("triggers", "a list of triggers", "no trigger", "[]");
pub(super) const INGEST_SECTION: Plain = optional("ingest", "a map", "all but web pages may put", "{}");

/// The manifest itself.
pub(super) const MANIFEST: Legal = Legal {
    fields: &[
        Field::other(&STREAMS, "Where records are kept."),
        Field::other(&FUNCTIONS, "What handles them."),
        Field::other(&TRIGGERS, "Which function gets the records of which stream."),
        Field::other(&INGEST_SECTION, "Who may put over plain HTTP."),
    ],
    planned: &[],
};

pub(super) const SHARDS: Ranged<u64> =
    Ranged { name: "shards", min: 1, max: SHARDS_PER_STREAM_MAX as u64, default: 1, example: "4" };
pub(super) const RETENTION: Ranged<Duration> =
    Ranged { name: "retention", min: RETENTION_MIN, max: RETENTION_MAX, default: RETENTION_DEFAULT, example: "24h" };
pub(super) const RETENTION_BYTES: Ranged<u64> = Ranged {
    name: "retention_bytes",
    min: RETENTION_BYTES_MIN,
    max: RETENTION_BYTES_MAX,
    default: NO_LIMIT,
    example: "10GiB",
};
pub(super) const MODE: Plain = optional("mode", "`provisioned` or `on-demand`", "`provisioned`", "provisioned");
pub(super) const CAPACITY: Plain =
    optional("capacity", "`unlimited` or `provisioned`", "what `--capacity` says, `unlimited` if nothing", "unlimited");

/// A stream.
pub(super) const STREAM: Legal = Legal {
    fields: &[
        Field::count(
            &SHARDS,
            "How many shards take records: the records of a shard are kept and delivered in order, and shards are \
             worked on at once. Another number splits and merges shards until all are of one size; the \
             records of a key stay in order.",
        ),
        Field::duration(
            &RETENTION,
            "How long records are kept: older ones are not read any more, and their space is given back. It can be \
             changed at any time; what has expired does not come back.",
        ),
        Field::size(
            &RETENTION_BYTES,
            "How many bytes of records are kept, as they lie on the disk: of more the oldest go, an eighth of this at a \
             time, within 10 s and before a put is refused for want of space. A larger piece from before this was set goes \
             when as many bytes are behind it.",
        ),
        Field::other(
            &MODE,
            "Who says how many shards there are: you, with `shards`, or with `on-demand` the node, which begins with 4, \
             splits those that take much and merges those that take little.",
        ),
        Field::other(
            &CAPACITY,
            "What each shard takes and gives in a second: as much as the disk does, or what a shard of AWS does, with AWS's \
             errors beyond it ([Throughput](aws.md#throughput)).",
        ),
    ],
    planned: &[],
};

pub(super) const PATH: Plain =
    needed("path", "a crate folder or a `.wasm` file, seen from the manifest's folder", "functions/score");
pub(super) const MEMORY: Ranged<u64> = Ranged {
    name: "memory",
    min: MEMORY_BYTES_MIN as u64,
    max: MEMORY_BYTES_MAX as u64,
    default: 64 << 20,
    example: "64MiB",
};
pub(super) const TIMEOUT: Ranged<Duration> = Ranged {
    name: "timeout",
    min: Duration::from_millis(TIMEOUT_MS_MIN),
    max: Duration::from_millis(TIMEOUT_MS_MAX),
    default: Duration::from_secs(5),
    example: "5s",
};
pub(super) const CONFIG: Plain =
    optional("config", "a map from names to texts, 64 KiB in all", "nothing", "{ threshold: \"5.5\" }");

pub(super) const ALLOW_SECTION: Plain = optional("allow", "a map", "nothing", "{ emit: [alerts] }");

/// A function.
pub(super) const FUNCTION: Legal = Legal {
    fields: &[
        Field::other(&PATH, "What it is made of. `tidemill up` and `tidemill deploy` build a crate folder."),
        Field::size(&MEMORY, "The memory that one instance may use; more fails the batch."),
        Field::duration(&TIMEOUT, "How long one call may take; longer fails the batch."),
        Field::other(
            &CONFIG,
            "Texts that the function reads by name. No secrets: `tidemill deploy`, the node's log and `GET /deployment` \
             show them.",
        ),
        Field::other(&ALLOW_SECTION, "What it may do beside handling its batch."),
    ],
    planned: &[("secrets", "functions get no secrets"), ("isolation", "instances are kept warm between batches")],
};

/// Streams that one function may emit to.
pub(super) const EMIT_MAX: usize = EMIT_STREAMS_MAX;

pub(super) const EMIT: Plain =
    optional("emit", "a list of 1 to 100 names of streams in this manifest", "no stream", "[alerts]");

/// What a function may do.
pub(super) const ALLOW: Legal = Legal {
    fields: &[Field::other(
        &EMIT,
        "The streams that it may emit to. What it emits is put before its trigger goes on behind the batch.",
    )],
    planned: &[("http", "functions cannot call out")],
};

/// A list that has no room for more says so with these.
pub(super) const TOKENS_MAX: usize = INGEST_TOKENS_MAX;
/// The same of origins.
pub(super) const ORIGINS_MAX: usize = INGEST_ORIGINS_MAX;

pub(super) const TOKENS: Plain =
    optional("tokens", "a list of 1 to 100 tokens", "no token is needed", "[{ env: INGEST_TOKEN }]");
pub(super) const CORS_SECTION: Plain =
    optional("cors", "a map", "no page may put", "{ origins: [https://app.example.com] }");

/// The section `ingest`.
pub(super) const INGEST: Legal = Legal {
    fields: &[
        Field::other(&TOKENS, "A request must bring one of them, as `Authorization: Bearer TOKEN`."),
        Field::other(&CORS_SECTION, "Which pages may put from a browser."),
    ],
    planned: &[],
};

pub(super) const ENV: Plain =
    optional("env", "the name of an environment variable", "write `sha256` instead", "INGEST_TOKEN");
pub(super) const SHA256: Plain = optional(
    "sha256",
    "64 digits of 0-9 and a-f",
    "write `env` instead",
    "9e78bcb94091b75109fd6773524fc8d6a4f8a6dfb3dae39a9c26c5001879bcf3",
);

/// A token of `ingest`.
pub(super) const TOKEN: Legal = Legal {
    fields: &[
        Field::other(&ENV, "The variable of the node that has the token. It is read once, as the node was started."),
        Field::other(&SHA256, "The SHA-256 of the token: `printf %s TOKEN | sha256sum`. Take a long random token."),
    ],
    planned: &[],
};

pub(super) const ORIGINS: Plain = needed(
    "origins",
    "a list of 1 to 100 origins like `https://app.example.com`, or `[\"*\"]` for every page",
    "[https://app.example.com]",
);

/// The pages that may put.
pub(super) const CORS: Legal =
    Legal { fields: &[Field::other(&ORIGINS, "The pages that may put from a browser.")], planned: &[] };

/// What the words above say of limits is what the limits are.
const _: () = assert!(
    INGEST_TOKENS_MAX == 100 && INGEST_ORIGINS_MAX == 100 && EMIT_STREAMS_MAX == 100 && VARIABLE_NAME_CHARS_MAX == 128
);
const _: () = assert!(crate::functions::limits::CONFIG_BYTES_MAX == 64 << 10);
