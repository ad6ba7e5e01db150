//! Looks at on-demand streams again and again while the node runs.

use tidemill_stream::demand::{Demand, DemandRules};
use tidemill_stream::store::Store;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::limits::{DEMAND_LOOK_PERIOD_MAX, DEMAND_LOOK_PERIOD_MIN};

/// Looks several times within the time that a shard must be hot.
const LOOKS: u32 = 6;

/// Until it shall stop, between two looks.
pub(super) async fn follow(store: Store, rules: DemandRules, stopping: CancellationToken) {
    let period = (rules.split_after / LOOKS).clamp(DEMAND_LOOK_PERIOD_MIN, DEMAND_LOOK_PERIOD_MAX);
    let mut looks = interval(period);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut demand = Demand::new(store, rules);
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            _ = looks.tick() => {}
        }
        demand.look().await;
    }
}
