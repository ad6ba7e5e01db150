//! Adds to each earthquake the region and the class of its magnitude, and puts it on a second stream.
//!
//! Configuration: `to`, the stream (default `quakes`); the deployment must allow it. The partition key stays.
//! At least once: after a crash an earthquake may be put twice, with the same `id`.

use serde_json::{Map, Value};
use tidemill_function::{Batch, Result, config, emit, handler};

handler!(enrich);

/// An earthquake with all its fields, whatever they are.
type Quake = Map<String, Value>;

/// The least magnitude of each class, the strongest first, as seismologists call them.
const CLASSES: [(f64, &str); 6] =
    [(8.0, "great"), (7.0, "major"), (6.0, "strong"), (5.0, "moderate"), (4.0, "light"), (2.0, "minor")];

fn enrich(batch: Batch<Quake>) -> Result<()> {
    let to = config::get("to").unwrap_or_else(|| "quakes".to_owned());
    for record in batch {
        let mut quake = record.value;
        let place = quake.get("place").and_then(Value::as_str).unwrap_or_default();
        let region = region(place).to_owned();
        let class = class(quake.get("magnitude").and_then(Value::as_f64));
        quake.insert("region".to_owned(), region.into());
        quake.insert("class".to_owned(), class.into());
        emit(&to, &record.partition_key, &quake)?;
    }
    Ok(())
}

/// `37km NNE of Amboy, Washington` is in Washington; a place without a comma is its own region.
fn region(place: &str) -> &str {
    place.rsplit(", ").next().unwrap_or(place)
}

fn class(magnitude: Option<f64>) -> &'static str {
    let Some(magnitude) = magnitude else { return "unknown" };
    let found = CLASSES.iter().find(|(least, _)| magnitude >= *least);
    found.map_or("micro", |(_, class)| class)
}

#[cfg(test)]
mod tests {
    use tidemill_function::testing::Delivery;

    use super::*;

    #[test]
    fn a_quake_goes_on_with_region_and_class() {
        let quake = r#"{"id":"us1","magnitude":6.4,"place":"22km NNE of Hualian, Taiwan"}"#;
        let done = Delivery::new().record("us", quake).to(&enrich);
        assert_eq!(done.result, Ok(()));
        let [emitted] = &done.emitted[..] else { panic!("{:?}", done.emitted) };
        assert_eq!((emitted.stream.as_str(), emitted.partition_key.as_str()), ("quakes", "us"));
        let expected = r#"{"class":"strong","id":"us1","magnitude":6.4,"place":"22km NNE of Hualian, Taiwan","region":"Taiwan"}"#;
        assert_eq!(emitted.text(), expected);
    }

    #[test]
    fn classes_begin_where_seismologists_say() {
        let classes = [None, Some(-0.5), Some(1.99), Some(2.0), Some(4.9), Some(5.0), Some(7.9), Some(9.5)].map(class);
        assert_eq!(classes, ["unknown", "micro", "micro", "minor", "light", "moderate", "major", "great"]);
    }

    #[test]
    fn the_whole_week_goes_on() {
        let data = include_str!("../../data/earthquakes.jsonl");
        let delivery = data.lines().fold(Delivery::new(), |delivery, line| delivery.record("us", line));
        assert_eq!(delivery.to(&enrich).emitted.len(), 1707);
    }
}
