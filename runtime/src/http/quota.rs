//! How many shards, on-demand streams and consumers there may be. What the manifest asks for is not counted against it,
//! only what comes over the API.

use tidemill_stream::stream::StreamMode;

use super::context::Context;
use super::error::{ApiError, ErrorKind};
use super::limits::{CONSUMERS_DEFAULT, ON_DEMAND_STREAMS_DEFAULT, SHARDS_DEFAULT};

/// How many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Open shards of all streams.
    pub shards_max: u32,
    /// On-demand streams.
    pub on_demand_streams_max: u32,
    /// Registered consumers of each stream.
    pub consumers_max: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            shards_max: SHARDS_DEFAULT,
            on_demand_streams_max: ON_DEMAND_STREAMS_DEFAULT,
            consumers_max: CONSUMERS_DEFAULT,
        }
    }
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) open_shards: usize,
    pub(super) on_demand_streams: usize,
}

pub(super) fn used(context: &Context<'_>) -> Used {
    let streams = context.store().streams();
    Used {
        open_shards: streams.iter().map(|stream| stream.open_shards().count()).sum(),
        on_demand_streams: streams.iter().filter(|stream| stream.mode == StreamMode::OnDemand).count(),
    }
}

/// Refuses shards beyond the limit.
pub(super) fn check_shards(context: &Context<'_>, more: usize) -> Result<(), ApiError> {
    let (current, limit) = (used(context).open_shards, context.state.quotas.shards_max as usize);
    if more == 0 || current + more <= limit {
        return Ok(());
    }
    let message = format!(
        "This request would exceed the shard limit for the account {} in {}. Current shard count for the account: \
         {current}. Limit: {limit}. Number of additional shards that would have resulted from this request: {more}.",
        context.account(),
        context.caller.region
    );
    Err(ApiError::new(ErrorKind::LimitExceeded, message))
}

/// Refuses one more on-demand stream beyond the limit.
pub(super) fn check_on_demand_streams(context: &Context<'_>) -> Result<(), ApiError> {
    let (current, limit) = (used(context).on_demand_streams, context.state.quotas.on_demand_streams_max as usize);
    if current < limit {
        return Ok(());
    }
    let message = format!(
        "This request would exceed the on-demand stream limit for the account {}: there are {current}, and the limit \
         is {limit}.",
        context.account()
    );
    Err(ApiError::new(ErrorKind::LimitExceeded, message))
}
