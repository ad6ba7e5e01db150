//! The account and the region that a node says it is in, and the names that follow from them.

use std::fmt;

use tidemill_stream::name::StreamName;

/// The account of a node that was told none.
pub const ACCOUNT_DEFAULT: &str = "000000000000";
/// The region of a node that was told none.
pub const REGION_DEFAULT: &str = "us-east-1";

/// Where a node is, in the words of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// 12 digits.
    pub account: String,
    /// For example `us-east-1`.
    pub region: String,
}

impl Default for Home {
    fn default() -> Self {
        Self { account: ACCOUNT_DEFAULT.to_owned(), region: REGION_DEFAULT.to_owned() }
    }
}

/// How the world calls a stream and the function that gets its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arns {
    /// Of both.
    pub region: String,
    /// `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
    pub stream: String,
    /// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
    pub function: String,
    /// `arn:aws:iam::ACCOUNT:role/FUNCTION`: the identity that AWS's events name.
    pub role: String,
}

impl Home {
    /// The names of a stream and a function of this node.
    pub fn arns(&self, stream: &StreamName, function: impl fmt::Display) -> Arns {
        let Self { account, region } = self;
        Arns {
            region: region.clone(),
            stream: format!("arn:aws:kinesis:{region}:{account}:stream/{stream}"),
            function: format!("arn:aws:lambda:{region}:{account}:function:{function}"),
            role: format!("arn:aws:iam::{account}:role/{function}"),
        }
    }
}
