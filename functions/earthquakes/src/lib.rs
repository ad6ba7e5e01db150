//! Alerts on strong earthquakes, and keeps the strongest of each seismic network.
//!
//! Configuration: `threshold`, the magnitude from which on an earthquake is an alert (default 5.5).
//! A stream to try it on: `data/earthquakes.jsonl`, with `network` as the partition key.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tidemill_function::{Batch, Record, Result, config, handler, log};

handler!(on_quakes);

/// One earthquake, as far as this function is interested in it.
#[derive(serde::Deserialize)]
struct Quake {
    place: String,
    /// Null while nobody has computed it.
    magnitude: Option<f64>,
    /// Milliseconds since 1970, UTC.
    time: i64,
}

/// The strongest magnitude of each network. It lives as long as the instance: enough for a line in the log, nothing to
/// do accounts with.
static STRONGEST: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

fn on_quakes(batch: Batch<Quake>) -> Result<()> {
    let threshold = config::parse("threshold")?.unwrap_or(5.5);
    for record in &batch {
        let Some(magnitude) = record.value.magnitude else { continue };
        if magnitude >= threshold {
            log::warn(&alert(&record.value, magnitude)?);
        }
        keep_strongest(record, magnitude);
    }
    Ok(())
}

/// For example: `earthquake of magnitude 6.4, 22km NNE of Hualian, Taiwan, at 2018-02-06T15:50:42Z`.
fn alert(quake: &Quake, magnitude: f64) -> Result<String> {
    let time = jiff::Timestamp::from_millisecond(quake.time)?;
    Ok(format!("earthquake of magnitude {magnitude:.1}, {}, at {time:.0}", quake.place))
}

fn keep_strongest(record: &Record<Quake>, magnitude: f64) {
    let (network, place) = (&record.partition_key, &record.value.place);
    let mut strongest = STRONGEST.lock().unwrap();
    if strongest.get(network).is_none_or(|&before| magnitude > before) {
        strongest.insert(network.clone(), magnitude);
        log::info(&format!("strongest of network {network} so far: {magnitude:.1}, {place}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_understood() {
        let data = include_str!("../data/earthquakes.jsonl");
        let quakes: Vec<Quake> = data.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let strongest = quakes.iter().max_by(|a, b| a.magnitude.partial_cmp(&b.magnitude).unwrap()).unwrap();
        let expected = "earthquake of magnitude 6.4, 22km NNE of Hualian, Taiwan, at 2018-02-06T15:50:42Z";
        assert_eq!(alert(strongest, strongest.magnitude.unwrap()).unwrap(), expected);
    }

    #[test]
    fn the_strongest_of_a_network_is_kept() {
        let quake = |magnitude| Record::new("us", Quake { place: "Hualien".into(), magnitude, time: 0 });
        let records = [Some(2.0), Some(6.4), None, Some(1.0)].map(quake).into();
        let shard = tidemill_function::Shard { index: 0, created_seconds: 0 };
        on_quakes(Batch::new("quakes", shard, records)).unwrap();
        assert_eq!(STRONGEST.lock().unwrap()["us"], 6.4);
    }
}
