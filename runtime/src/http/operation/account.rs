//! `DescribeLimits`, `DescribeAccountSettings` and `UpdateAccountSettings`.

use serde::de::IgnoredAny;
use tidemill_stream::account::Commitment;
use tidemill_stream::clock::Timestamp;
use tidemill_wire::{self as wire, AccountSettingsResponse, DescribeLimitsResponse, UpdateAccountSettingsRequest};

use crate::http::constraint::At;
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::quota;

const STATUSES: [(&str, Wanted); 2] = [("ENABLED", Wanted::Enabled), ("DISABLED", Wanted::Disabled)];

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Enabled,
    Disabled,
}

pub(super) fn limits(context: &Context<'_>, _nothing: IgnoredAny) -> DescribeLimitsResponse {
    let used = quota::used(context);
    DescribeLimitsResponse {
        shard_limit: u64::from(context.state.quotas.shards_max),
        open_shard_count: used.open_shards as u64,
        on_demand_stream_count: used.on_demand_streams as u64,
        on_demand_stream_count_limit: u64::from(context.state.quotas.on_demand_streams_max),
    }
}

pub(super) async fn describe(context: &Context<'_>, _nothing: IgnoredAny) -> Result<AccountSettingsResponse, ApiError> {
    Ok(shaped(context.store().commitment().await?, context.now()))
}

pub(super) async fn update(
    context: &Context<'_>,
    request: &UpdateAccountSettingsRequest,
) -> Result<AccountSettingsResponse, ApiError> {
    let mut check = context.check();
    let asked = request.minimum_throughput_billing_commitment.as_ref();
    let asked = check.required(At::Member("minimumThroughputBillingCommitment"), asked);
    let at = At::Member("minimumThroughputBillingCommitment.status");
    let status = asked.and_then(|asked| check.required(at, asked.status.as_deref()));
    let wanted = check.word(at, status, &STATUSES);
    let commitment = match check.finish(wanted)? {
        Wanted::Enabled => Some(context.store().commit_throughput().await?),
        Wanted::Disabled => context.store().end_commitment().await?,
    };
    Ok(shaped(commitment, context.now()))
}

fn shaped(commitment: Option<Commitment>, now: Timestamp) -> AccountSettingsResponse {
    let time = |time: Timestamp| wire::Timestamp::from_millis(time.as_millis());
    let (status, ended) = match commitment {
        None => ("DISABLED", None),
        Some(Commitment { ends: None, .. }) => ("ENABLED", None),
        Some(commitment) if commitment.holds(now) => ("ENABLED_UNTIL_EARLIEST_ALLOWED_END", None),
        Some(Commitment { ends, .. }) => ("DISABLED", ends),
    };
    let commitment = wire::Commitment {
        status: status.to_owned(),
        started_at: commitment.map(|commitment| time(commitment.started)),
        ended_at: ended.map(time),
        earliest_allowed_end_at: commitment.map(|commitment| time(commitment.earliest_end())),
    };
    AccountSettingsResponse { minimum_throughput_billing_commitment: Some(commitment) }
}
