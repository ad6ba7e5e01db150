//! A trigger as plain settings.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::deploy::{DestinationSpec, Semantics, TriggerRules, TriggerSpec};

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerItem {
    /// Its stream.
    pub stream: String,
    /// Its function.
    pub function: String,
    /// `trim-horizon`, `latest` or a time.
    pub start: String,
    /// Records of one batch at most. A node that has started knows it once it has applied its manifest.
    pub batch_size: Option<u64>,
    /// Whether it was told not to deliver. Known when `batch_size` is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
    /// Its other rules. Known when `batch_size` is.
    #[serde(flatten)]
    pub rules: RulesItem,
}

/// How a trigger makes batches, and what happens when one fails: what is not the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RulesItem {
    /// Whose rules it follows, if not Tidemill's: `lambda`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantics: Option<String>,
    /// How long a batch waits for more records, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// Batches of one shard that are in work at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelization: Option<u64>,
    /// How often a batch that failed is delivered again, if that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How old a record may be that is delivered, if that is limited; milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_ms: Option<u64>,
    /// Whether a batch that failed is delivered again in halves.
    #[serde(skip_serializing_if = "is_false")]
    pub bisect: bool,
    /// Whether the function says which records it did not take.
    #[serde(skip_serializing_if = "is_false")]
    pub report_failures: bool,
    /// The patterns of the records that are delivered, if not all are; JSON.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<String>,
    /// Who is told of records that are given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<DestinationItem>,
    /// The length of its tumbling windows, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tumbling_window_ms: Option<u64>,
}

/// Who is told of records that are given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DestinationItem {
    /// A stream.
    Stream {
        /// Its name.
        stream: String,
    },
    /// A folder.
    Folder {
        /// Where it is.
        folder: String,
    },
    /// An address.
    Url {
        /// The address.
        url: String,
        /// The environment variable that has the key which requests are signed with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
    },
}

impl TriggerItem {
    /// Of all triggers of a manifest.
    pub fn by_name(specs: &[TriggerSpec]) -> BTreeMap<String, Self> {
        specs.iter().map(|spec| (spec.name.clone(), Self::of(spec))).collect()
    }

    fn of(spec: &TriggerSpec) -> Self {
        Self {
            stream: spec.stream.as_str().to_owned(),
            function: spec.function.to_string(),
            start: spec.start.to_string(),
            batch_size: Some(spec.rules.batch_records_max as u64),
            disabled: !spec.is_enabled,
            rules: RulesItem::of(&spec.rules),
        }
    }

    /// Whose rules and batches are not known.
    pub(crate) fn unknown(stream: String, function: String, start: String) -> Self {
        Self { stream, function, start, batch_size: None, disabled: false, rules: RulesItem::default() }
    }

    /// The same, with what is not known of it as another has it.
    pub(in crate::deploy) fn completed(&self, like: &Self) -> Self {
        if self.batch_size.is_some() {
            return self.clone();
        }
        let Self { stream, function, start, .. } = self.clone();
        Self { stream, function, start, ..like.clone() }
    }
}

impl RulesItem {
    fn of(rules: &TriggerRules) -> Self {
        let default = TriggerRules::default();
        let TriggerRules { semantics, window, parallelization, tumbling_window, .. } = rules;
        Self {
            semantics: (*semantics != Semantics::default()).then(|| semantics.name().to_owned()),
            window_ms: (*window != default.window).then(|| millis(*window)),
            parallelization: (*parallelization != default.parallelization).then_some(*parallelization as u64),
            retries: rules.retries_max,
            max_age_ms: rules.age_max.map(millis),
            bisect: rules.bisects,
            report_failures: rules.reports_failures,
            filter: rules.filter.iter().flat_map(|filter| filter.patterns().iter().cloned()).collect(),
            on_failure: rules.on_failure.as_ref().map(DestinationItem::of),
            tumbling_window_ms: tumbling_window.map(millis),
        }
    }
}

impl DestinationItem {
    fn of(spec: &DestinationSpec) -> Self {
        match spec {
            DestinationSpec::Stream(name) => Self::Stream { stream: name.as_str().to_owned() },
            DestinationSpec::Folder(path) => Self::Folder { folder: path.display().to_string() },
            DestinationSpec::Url { url, secret_variable } => {
                Self::Url { url: url.clone(), secret: secret_variable.clone() }
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
