//! A trigger as a manifest asks for it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tidemill_stream::clock::Timestamp;
use tidemill_stream::name::StreamName;

use crate::functions::FunctionName;
use crate::limits::BATCH_RECORDS_DEFAULT;
use crate::pattern::Filter;

/// A trigger: which function gets the records of which stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerSpec {
    /// Its name.
    pub name: String,
    /// The stream.
    pub stream: StreamName,
    /// The function.
    pub function: FunctionName,
    /// Where it begins when it is created.
    pub start: Start,
    /// Whether it delivers; one that does not keeps its place.
    pub is_enabled: bool,
    /// How it makes batches, and what happens when one fails.
    pub rules: TriggerRules,
}

/// How a trigger makes batches, and what happens when one fails. The names in quotes are those of Lambda's event source
/// mappings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerRules {
    /// Whose rules it follows where they differ.
    pub semantics: Semantics,
    /// Records of one batch at most, 1 to 10,000: `BatchSize`.
    pub batch_records_max: usize,
    /// How long a batch waits for more records: `MaximumBatchingWindowInSeconds`. Zero: not at all.
    pub window: Duration,
    /// Batches of one shard that are in work at once, 1 to 10, those of a partition key one after another:
    /// `ParallelizationFactor`.
    pub parallelization: usize,
    /// How often a batch that failed is delivered again; `None`: until it succeeds. `MaximumRetryAttempts`.
    pub retries_max: Option<u32>,
    /// How old a record may be that is delivered; `None`: as old as its stream keeps it. `MaximumRecordAgeInSeconds`.
    pub age_max: Option<Duration>,
    /// Whether a batch that failed is delivered again in halves: `BisectBatchOnFunctionError`.
    pub bisects: bool,
    /// Whether the function says which records it did not take: `ReportBatchItemFailures`.
    pub reports_failures: bool,
    /// Which records are delivered; `None`: all. `FilterCriteria`.
    pub filter: Option<Filter>,
    /// Where it is told which records were given up: `OnFailure`.
    pub on_failure: Option<DestinationSpec>,
    /// The length of the windows that the function keeps state for: `TumblingWindowInSeconds`.
    pub tumbling_window: Option<Duration>,
}

impl Default for TriggerRules {
    /// Batches of 100, one at a time, delivered as soon as there are records and until they succeed.
    fn default() -> Self {
        Self {
            semantics: Semantics::default(),
            batch_records_max: BATCH_RECORDS_DEFAULT,
            window: Duration::ZERO,
            parallelization: 1,
            retries_max: None,
            age_max: None,
            bisects: false,
            reports_failures: false,
            filter: None,
            on_failure: None,
            tumbling_window: None,
        }
    }
}

/// Where it is told which records were given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationSpec {
    /// A record on this stream.
    Stream(StreamName),
    /// A file in this folder, named as Lambda names its objects in S3. It has the records too.
    Folder(PathBuf),
    /// A POST to this address, `http://` or `https://`.
    Url {
        /// The address.
        url: String,
        /// The environment variable of the node that holds the key that requests are signed with.
        secret_variable: Option<String>,
    },
}

/// Whose rules a trigger follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Semantics {
    /// Tidemill's: aggregated records are taken apart, and no record is given up unseen.
    #[default]
    Tidemill,
    /// Lambda's, to the letter.
    Lambda,
}

impl Semantics {
    /// As a manifest writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tidemill => "tidemill",
            Self::Lambda => "lambda",
        }
    }

    /// Reads what a manifest writes.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Tidemill, Self::Lambda].into_iter().find(|semantics| semantics.name() == text)
    }
}

/// Where a trigger begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that is kept.
    TrimHorizon,
    /// Behind the last record there is when the trigger is created.
    Latest,
    /// At the first record that arrived at this time or later.
    At(Timestamp),
}

/// As a manifest gives it.
impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrimHorizon => f.write_str("trim-horizon"),
            Self::Latest => f.write_str("latest"),
            Self::At(time) => {
                let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                write!(f, "{}", jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX))
            }
        }
    }
}
