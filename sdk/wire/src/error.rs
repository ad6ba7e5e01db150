//! Errors on the wire.

use serde::{Deserialize, Serialize};

/// The body of an error answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error's name, perhaps behind a namespace and `#`; empty where the answer is not of the Kinesis API.
    #[serde(rename = "__type", default)]
    pub kind: String,
    /// What was wrong.
    #[serde(rename = "message", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The same, as AWS spells it in a `SerializationException`.
    #[serde(rename = "Message", default, skip_serializing_if = "Option::is_none")]
    pub capital_message: Option<String>,
}
