//! Errors on purpose, for tests of clients: so many of an operation's calls, or of the records of `PutRecords`, fail.
//!
//! Promises that what fails has not been done: no record of it is put. A node without rules pays one branch a request. It must
//! not know what an operation does.

use std::fmt;
use std::str::FromStr;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tidemill_stream::name::StreamName;
use tidemill_stream::put::{PutError, PutFailure, PutOutcome};
use tidemill_stream::record::Record;
use tidemill_stream::store::Store;
use tidemill_wire::Operation;

use super::error::{ApiError, ErrorKind};

/// What a whole call may fail with.
const CALL_ERRORS: [ErrorKind; 10] = [
    ErrorKind::AccessDenied,
    ErrorKind::ExpiredIterator,
    ErrorKind::ExpiredNextToken,
    ErrorKind::InternalFailure,
    ErrorKind::InvalidArgument,
    ErrorKind::LimitExceeded,
    ErrorKind::ProvisionedThroughputExceeded,
    ErrorKind::ResourceInUse,
    ErrorKind::ResourceNotFound,
    ErrorKind::ServiceUnavailable,
];
/// What single records of `PutRecords` fail with (Kinesis: no other `ErrorCode` is told of a record).
const RECORD_ERRORS: [(&str, RecordError); 2] =
    [("ProvisionedThroughputExceededException", RecordError::Throughput), ("InternalFailure", RecordError::Internal)];

/// What a part of an operation's calls fails with: `PutRecords=0.1:InternalFailure`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InjectedError {
    operation: Operation,
    /// From 0 to 1.
    rate: f64,
    failing: Failing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    Call(ErrorKind),
    Record(RecordError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordError {
    Throughput,
    Internal,
}

/// Why a text is no injected error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInjection {
    /// It has not the form of one.
    #[error("'{given}' is no injected error; write OPERATION=RATE or OPERATION=RATE:ERROR, like GetRecords=0.05")]
    Form {
        /// What was given.
        given: String,
    },
    /// There is no such operation here.
    #[error("this node serves no operation '{given}'; write the name of one, like PutRecords")]
    Operation {
        /// What was given.
        given: String,
    },
    /// The rate is none.
    #[error("'{given}' is no rate; write a number from 0 to 1, like 0.05")]
    Rate {
        /// What was given.
        given: String,
    },
    /// The operation cannot fail with this.
    #[error("{operation} cannot be made to fail with '{given}'; write one of {}", .possible.join(", "))]
    Error {
        /// Of which operation.
        operation: &'static str,
        /// What was given.
        given: String,
        /// What it can be made to fail with.
        possible: Vec<&'static str>,
    },
}

impl FromStr for InjectedError {
    type Err = InvalidInjection;

    fn from_str(text: &str) -> Result<Self, InvalidInjection> {
        let form = || InvalidInjection::Form { given: text.to_owned() };
        let (name, rest) = text.split_once('=').ok_or_else(form)?;
        let (rate, error) = rest.split_once(':').map_or((rest, None), |(rate, error)| (rate, Some(error)));
        let unknown = || InvalidInjection::Operation { given: name.to_owned() };
        let operation = Operation::parse(name).ok_or_else(unknown)?;
        let none = || InvalidInjection::Rate { given: rate.to_owned() };
        let rate = rate.parse().ok().filter(|rate| (0.0..=1.0).contains(rate)).ok_or_else(none)?;
        let failing = error.map_or(Ok(Failing::Call(ErrorKind::InternalFailure)), |error| failing(operation, error))?;
        Ok(Self { operation, rate, failing })
    }
}

/// Of `PutRecords` what AWS tells of single records fails those, not the call.
fn failing(operation: Operation, given: &str) -> Result<Failing, InvalidInjection> {
    let of_records = if operation == Operation::PutRecords { &RECORD_ERRORS[..] } else { &[] };
    if let Some((_, error)) = of_records.iter().find(|(name, _)| *name == given) {
        return Ok(Failing::Record(*error));
    }
    let of_calls = CALL_ERRORS.into_iter().find(|kind| kind.name() == given);
    of_calls.map(Failing::Call).ok_or_else(|| {
        let mut possible: Vec<&str> = CALL_ERRORS.map(ErrorKind::name).to_vec();
        possible.extend(of_records.iter().map(|(name, _)| *name).filter(|name| !name.ends_with("Exception")));
        InvalidInjection::Error { operation: operation.name(), given: given.to_owned(), possible }
    })
}

/// As it is written on the command line.
impl fmt::Display for InjectedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self.failing {
            Failing::Call(kind) => kind.name(),
            Failing::Record(error) => {
                RECORD_ERRORS.iter().find(|(_, known)| *known == error).map_or("", |(name, _)| *name)
            }
        };
        write!(f, "{}={}:{error}", self.operation.name(), self.rate)
    }
}

/// Decides what fails.
#[derive(Debug)]
pub struct InjectedErrors {
    rules: Vec<InjectedError>,
    chance: Mutex<StdRng>,
}

impl InjectedErrors {
    /// From the same seed the same calls, one after another, fail alike.
    pub fn new(rules: Vec<InjectedError>, seed: u64) -> Self {
        Self { rules, chance: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    /// Whether a call fails, and with what.
    pub(super) fn strike_call(&self, operation: Operation) -> Result<(), ApiError> {
        for rule in self.rules.iter().filter(|rule| rule.operation == operation) {
            if let Failing::Call(kind) = rule.failing
                && self.strikes(rule)
            {
                return Err(ApiError::new(kind, said(rule)));
            }
        }
        Ok(())
    }

    /// Puts the records that are not struck; the outcomes are those of all, in order.
    pub(super) async fn put(
        &self,
        store: &Store,
        stream: &StreamName,
        records: Vec<Record>,
    ) -> Result<Vec<PutOutcome>, PutError> {
        let struck: Vec<Option<PutFailure>> = records.iter().map(|_| self.strike_record()).collect();
        let spared = records.into_iter().zip(&struck).filter(|(_, failure)| failure.is_none());
        let spared: Vec<Record> = spared.map(|(record, _)| record).collect();
        let placed = if spared.is_empty() { Vec::new() } else { store.put(stream, spared).await? };
        let mut placed = placed.into_iter();
        Ok(struck.into_iter().filter_map(|failure| failure.map_or_else(|| placed.next(), |it| Some(Err(it)))).collect())
    }

    fn strike_record(&self) -> Option<PutFailure> {
        self.rules.iter().find_map(|rule| match rule.failing {
            Failing::Record(error) if self.strikes(rule) => Some(match error {
                RecordError::Throughput => PutFailure::Throughput(said(rule)),
                RecordError::Internal => PutFailure::Internal(said(rule)),
            }),
            Failing::Record(_) | Failing::Call(_) => None,
        })
    }

    fn strikes(&self, rule: &InjectedError) -> bool {
        self.chance.lock().random_bool(rule.rate)
    }
}

fn said(rule: &InjectedError) -> String {
    format!("Injected by --inject-errors {rule}: nothing was done.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str) {
        assert_eq!(text.parse::<InjectedError>().unwrap().to_string(), shown);
    }

    fn wrong(text: &str, said: &str) {
        let error = text.parse::<InjectedError>().unwrap_err().to_string();
        assert!(error.starts_with(said), "{text}: {error}");
    }

    #[test]
    fn an_injected_error_is_read_as_it_is_shown() {
        check("GetRecords=0.05", "GetRecords=0.05:InternalFailureException");
        check("PutRecords=1", "PutRecords=1:InternalFailureException");
        for same in [
            "PutRecords=0.1:ProvisionedThroughputExceededException",
            "PutRecords=0:InternalFailure",
            "PutRecord=0.1:ProvisionedThroughputExceededException",
            "CreateStream=1:LimitExceededException",
        ] {
            check(same, same);
        }
    }

    #[test]
    fn what_is_no_injected_error_is_said() {
        wrong("PutRecords", "'PutRecords' is no injected error; write OPERATION=RATE");
        wrong("PutRecordz=0.1", "this node serves no operation 'PutRecordz'");
        wrong("ListQueues=0.1", "this node serves no operation 'ListQueues'");
        for rate in ["", "x", "-0.1", "1.1", "NaN", "inf"] {
            wrong(&format!("PutRecords={rate}"), &format!("'{rate}' is no rate"));
        }
        wrong(
            "PutRecord=0.1:InternalFailure",
            "PutRecord cannot be made to fail with 'InternalFailure'; write one of Acc",
        );
        wrong("GetRecords=0.1:", "GetRecords cannot be made to fail with ''");
    }

    #[test]
    fn the_same_seed_strikes_the_same_calls_and_about_as_many_as_the_rate_says() {
        let struck = |seed| {
            let rules = vec!["GetRecords=0.1".parse().unwrap(), "PutRecord=1".parse().unwrap()];
            let errors = InjectedErrors::new(rules, seed);
            (0..10_000).map(|_| errors.strike_call(Operation::GetRecords).is_err()).collect::<Vec<bool>>()
        };
        let first = struck(7);
        assert_eq!(first, struck(7));
        assert_ne!(first, struck(8));
        let count = first.iter().filter(|struck| **struck).count();
        assert!((900..1100).contains(&count), "{count} of 10,000 with seed 7");
    }
}
