//! What can be wrong with a manifest: where, what, and what would be right.

use std::fmt;
use std::path::PathBuf;

use crate::pattern::Fault;

/// A line and a column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        Self { line: location.line().max(1), column: location.column().max(1) }
    }
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the manifest {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It was read, and does not say what a manifest must.
    #[error(transparent)]
    Invalid(#[from] InvalidManifest),
}

/// A manifest with mistakes: all of them, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidManifest {
    /// The file, as the user named it.
    pub file: String,
    /// The mistakes, at least one.
    pub mistakes: Vec<Mistake>,
}

/// One line for each mistake: `file:line:column: what was wrong; what would be right`.
impl fmt::Display for InvalidManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Mistake { place, problem }) in self.mistakes.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{}:{}: {problem}", self.file, place.line, place.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidManifest {}

/// One mistake and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

/// What is wrong at one place. `within` names the surrounding part, e.g. `stream 'orders'`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not YAML.
    #[error("{message}")]
    Yaml {
        /// What the YAML reader said.
        message: String,
    },
    /// A key that the same map has already.
    #[error("'{}' is there already; give each name once", key.as_deref().unwrap_or("this key"))]
    DuplicateKey {
        /// The key, if it is a plain one.
        key: Option<String>,
    },
    /// A field that no manifest has.
    #[error("unknown field '{field}' in {within}{}; {}", did_you_mean(nearest.as_deref()), fields_list(legal))]
    UnknownField {
        /// The part it is in.
        within: String,
        /// The field.
        field: String,
        /// The legal field that looks most like it.
        nearest: Option<String>,
        /// The legal fields.
        legal: Vec<String>,
    },
    /// A field that means something, but not yet.
    #[error("the field '{field}' in {within} is not supported yet; leave it out ({meaning})")]
    NotSupported {
        /// The part it is in.
        within: String,
        /// The field.
        field: String,
        /// What it will do.
        meaning: &'static str,
    },
    /// A field that must be there.
    #[error("{within} has no '{field}'; add for example '{field}: {example}'")]
    Missing {
        /// The part it should be in.
        within: String,
        /// The field.
        field: &'static str,
        /// A value that would be right.
        example: &'static str,
    },
    /// A value of the wrong kind.
    #[error("{what} must be {expected}, not {given}")]
    WrongType {
        /// Which value.
        what: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        given: String,
    },
    /// An amount without a unit, or with one that does not exist.
    #[error("{what} is '{given}'; it must be a whole number and one of the units {units}, e.g. {example}")]
    Unit {
        /// Which value.
        what: String,
        /// What was given.
        given: String,
        /// The units.
        units: &'static str,
        /// A value that would be right.
        example: &'static str,
    },
    /// A value outside its range.
    #[error("{what} is {given}; it must be between {min} and {max}")]
    Range {
        /// Which value.
        what: String,
        /// What was given.
        given: String,
        /// The least.
        min: String,
        /// The most.
        max: String,
    },
    /// Lambda's way to say that there is no limit.
    #[error("{what} is -1, as AWS Lambda writes it; write {word}, or leave it out ({otherwise})")]
    MinusOne {
        /// Which value.
        what: String,
        /// What says it here.
        word: &'static str,
        /// What it means.
        otherwise: &'static str,
    },
    /// A duration that is no whole number of seconds.
    #[error("{what} is {given}; it must be a whole number of seconds")]
    Seconds {
        /// Which value.
        what: String,
        /// What was given.
        given: String,
    },
    /// A name with characters that are not allowed.
    #[error("{message}")]
    Name {
        /// What is wrong with it, and the rule.
        message: String,
    },
    /// A start that is none.
    #[error("{what} is '{given}'; it must be trim-horizon, latest, or a time like 2026-11-22T00:00:00Z")]
    Start {
        /// Which value.
        what: String,
        /// What was given.
        given: String,
    },
    /// A stream's mode that is none.
    #[error("{what} is '{given}'; it must be provisioned or on-demand")]
    Mode {
        /// Which value.
        what: String,
        /// What was given.
        given: String,
    },
    /// A stream's capacity that is none.
    #[error("{what} is '{given}'; it must be unlimited or provisioned")]
    Capacity {
        /// Which value.
        what: String,
        /// What was given.
        given: String,
    },
    /// A trigger's semantics that are none.
    #[error("{what} is '{given}'; it must be tidemill or lambda")]
    Semantics {
        /// Which value.
        what: String,
        /// What was given.
        given: String,
    },
    /// Several lanes for a trigger whose windows have one state.
    #[error(
        "{what} is {given}, but a tumbling window has one state, for all keys of a shard: leave out 'parallelization' or \
         'tumbling_window'"
    )]
    OneState {
        /// Which value.
        what: String,
        /// What was given.
        given: u64,
    },
    /// A pattern that is none.
    #[error("{what}{}: {fault}", if path.is_empty() { String::new() } else { format!(", at {path}") })]
    Pattern {
        /// Which pattern.
        what: String,
        /// Where in it, such as `data.order.type[0].prefix`; empty for the pattern as a whole.
        path: String,
        /// What is wrong there, and what would be right.
        fault: Fault,
    },
    /// Who is told of records that are given up, not said in one way.
    #[error("{within} has {}; write one of 'stream', 'folder' and 'url'", given_list(given))]
    Destination {
        /// The part.
        within: String,
        /// Those that were given.
        given: Vec<&'static str>,
    },
    /// A secret without an address.
    #[error("{what} signs requests to 'url', which is not there; leave it out")]
    Unsigned {
        /// Which value.
        what: String,
    },
    /// An address that is none.
    #[error("{what} is '{given}'; it must be an address like https://hooks.example.com/orders: {rule}")]
    Url {
        /// Which value.
        what: String,
        /// What was given.
        given: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A number of shards for a stream that sets its own.
    #[error("{what} is of no use with 'mode: on-demand', in which the node sets it; leave one of the two out")]
    ShardsOnDemand {
        /// Which value.
        what: String,
    },
    /// A trigger that names something which is not in the manifest.
    #[error("{within} names the {kind} '{name}', which is not in this manifest{}; {}", did_you_mean(nearest.as_deref()), known_list(kind, known))]
    Dangling {
        /// The trigger.
        within: String,
        /// `stream` or `function`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The known name that looks most like it.
        nearest: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// A trigger's name that is taken.
    #[error("there is a trigger '{name}' in line {first_line} already; each trigger needs a name of its own")]
    Duplicate {
        /// The name.
        name: String,
        /// Where it was first.
        first_line: u64,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(" (did you mean '{nearest}'?)")).unwrap_or_default()
}

fn given_list(given: &[&str]) -> String {
    if given.is_empty() {
        return "nothing".to_owned();
    }
    given.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" and ")
}

fn fields_list(legal: &[String]) -> String {
    let are = if legal.len() == 1 { "its only field is" } else { "the fields are" };
    format!("{are} {}", legal.join(", "))
}

fn known_list(kind: &str, known: &[String]) -> String {
    if known.is_empty() { format!("it has no {kind}s") } else { format!("its {kind}s are {}", known.join(", ")) }
}
