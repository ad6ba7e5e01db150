//! Keeps for each seismic network the strongest earthquake and how many there are an hour, and logs a line whenever one is
//! stronger than all before.
//!
//! The partition key is the network, so each network is kept by one instance. What is kept lives as long as that instance:
//! it begins anew when the node starts or a new version is deployed, and a batch that is delivered twice counts twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use tidemill_function::{Batch, Result, handler, log};

handler!(on_quakes);

const HOUR_MS: i64 = 3_600_000;
/// What the rate is taken over, in the earthquakes' own time.
const WINDOW_MS: i64 = 24 * HOUR_MS;
/// The most earthquakes of one network whose times are kept.
const TIMES_MAX: usize = 10_000;

#[derive(serde::Deserialize)]
struct Quake {
    place: String,
    /// Null while nobody has computed it.
    magnitude: Option<f64>,
    /// Milliseconds since 1970, UTC.
    time: i64,
}

#[derive(Default)]
struct Network {
    strongest: Option<f64>,
    /// Of the last day, in order of arrival.
    times: VecDeque<i64>,
}

static NETWORKS: Mutex<BTreeMap<String, Network>> = Mutex::new(BTreeMap::new());

fn on_quakes(batch: Batch<Quake>) -> Result<()> {
    let mut networks = NETWORKS.lock().unwrap();
    for record in &batch {
        let name = &record.partition_key;
        let network = networks.entry(name.clone()).or_default();
        let quake = &record.value;
        let rate = network.count(quake.time);
        if let Some(magnitude) = quake.magnitude.filter(|magnitude| network.is_strongest(*magnitude)) {
            log::info(&format!("{name}: strongest so far {magnitude:.1}, {}; {rate:.1} an hour", quake.place));
        }
    }
    Ok(())
}

impl Network {
    /// Counts an earthquake; returns how many there were an hour, over the last day.
    fn count(&mut self, time: i64) -> f64 {
        self.times.push_back(time);
        while self.times.len() > TIMES_MAX || self.times.front().is_some_and(|first| *first <= time - WINDOW_MS) {
            self.times.pop_front();
        }
        let first = self.times.iter().min().copied().unwrap_or(time);
        let hours = (time - first).max(HOUR_MS) as f64 / HOUR_MS as f64;
        self.times.len() as f64 / hours
    }

    fn is_strongest(&mut self, magnitude: f64) -> bool {
        let is_strongest = self.strongest.is_none_or(|before| magnitude > before);
        if is_strongest {
            self.strongest = Some(magnitude);
        }
        is_strongest
    }
}

#[cfg(test)]
mod tests {
    use tidemill_function::testing::Delivery;

    use super::*;

    #[test]
    fn only_what_is_stronger_is_told() {
        let quake = |magnitude, time| format!(r#"{{"place":"Hualien","magnitude":{magnitude},"time":{time}}}"#);
        let delivery = Delivery::new()
            .record("us", quake("2.0", 0))
            .record("us", quake("6.4", HOUR_MS))
            .record("us", quake("null", HOUR_MS))
            .record("us", quake("1.0", HOUR_MS));
        let log = delivery.to(&on_quakes).log;
        assert_eq!(log, ["info: us: strongest so far 2.0, Hualien; 1.0 an hour", "info: us: strongest so far 6.4, Hualien; 2.0 an hour"]);
    }

    #[test]
    fn the_rate_is_that_of_the_last_day() {
        let mut network = Network::default();
        let rates: Vec<f64> = (0..48).map(|hour| network.count(hour * HOUR_MS / 2)).collect();
        assert_eq!((rates[0], rates[2]), (1.0, 3.0));
        assert!((network.count(48 * HOUR_MS) - 1.0).abs() < 1e-9, "a day later all others are forgotten");
    }
}
