//! What a handler is told beside the event.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bindings::lambda::tidemill::function::invocation::Context;

/// The facts of one call that Lambda's context object has and that mean something here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LambdaContext {
    /// Names this call in the node's log; another attempt at the same records has another one.
    pub request_id: String,
    /// The function's name in its deployment.
    pub function_name: String,
    /// Which wasm file it is: its SHA-256, 64 hexadecimal digits.
    pub function_version: String,
    /// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
    pub invoked_function_arn: String,
    /// The memory that an instance may have, in MiB.
    pub memory_limit_mib: u32,
    /// When the call is stopped: milliseconds since 1970, UTC.
    pub deadline_ms: u64,
}

impl LambdaContext {
    /// How long the call may still go on; zero when its time is over.
    #[expect(clippy::disallowed_methods, reason = "a function has no other clock")]
    pub fn remaining(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Duration::from_millis(self.deadline_ms).saturating_sub(now)
    }
}

impl From<Context> for LambdaContext {
    fn from(context: Context) -> Self {
        let Context { aws_request_id, function_name, function_version, .. } = context;
        let Context { invoked_function_arn, memory_limit_mib, deadline_ms, .. } = context;
        Self {
            request_id: aws_request_id,
            function_name,
            function_version,
            invoked_function_arn,
            memory_limit_mib,
            deadline_ms,
        }
    }
}

/// An event with its context: what handlers take that were written with the crate `lambda_runtime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaEvent<E> {
    /// The event.
    pub payload: E,
    /// What is told beside it.
    pub context: LambdaContext,
}
