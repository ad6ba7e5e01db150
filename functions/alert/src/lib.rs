//! Alerts on strong earthquakes, and fails on drills.
//!
//! Configuration: `threshold`, the magnitude from which on an earthquake is an alert (default 5.5); `drills`, what to do
//! with a record that is marked `"drill": true`: `fail` (the default) or `skip`.
//! At least once: a batch that is delivered twice alerts twice.

use tidemill_function::{Batch, Result, config, handler, log};

handler!(on_quakes);

/// One earthquake, as far as this function is interested in it.
#[derive(serde::Deserialize)]
struct Quake {
    place: String,
    /// Null while nobody has computed it.
    magnitude: Option<f64>,
    /// Milliseconds since 1970, UTC.
    time: i64,
    /// Not a real one.
    #[serde(default)]
    drill: bool,
}

fn on_quakes(batch: Batch<Quake>) -> Result<()> {
    let threshold = config::parse("threshold")?.unwrap_or(5.5);
    let skips_drills = config::get("drills").is_some_and(|what| what == "skip");
    for record in &batch {
        let quake = &record.value;
        if quake.drill && !skips_drills {
            Err(format!("{} is a drill; set 'drills: skip' to pass over drills", quake.place))?;
        }
        match quake.magnitude {
            Some(magnitude) if magnitude >= threshold && !quake.drill => log::warn(&alert(quake, magnitude)?),
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// For example: `earthquake of magnitude 6.4, 22km NNE of Hualian, Taiwan, at 2018-02-06T15:50:42Z`.
fn alert(quake: &Quake, magnitude: f64) -> Result<String> {
    let time = jiff::Timestamp::from_millisecond(quake.time)?;
    Ok(format!("earthquake of magnitude {magnitude:.1}, {}, at {time:.0}", quake.place))
}

#[cfg(test)]
mod tests {
    use tidemill_function::testing::Delivery;

    use super::*;

    #[test]
    fn the_strong_ones_of_the_week_are_told() {
        let data = include_str!("../../data/earthquakes.jsonl");
        let delivery = data.lines().fold(Delivery::new().config("threshold", "6.4"), |all, line| all.record("us", line));
        let done = delivery.to(&on_quakes);
        assert_eq!(done.result, Ok(()));
        assert_eq!(done.log, ["warn: earthquake of magnitude 6.4, 22km NNE of Hualian, Taiwan, at 2018-02-06T15:50:42Z"]);
    }

    #[test]
    fn a_drill_fails_its_batch_unless_drills_are_skipped() {
        let drill = r#"{"place":"Office","magnitude":9.0,"time":0,"drill":true}"#;
        let failed = Delivery::new().record("us", drill).to(&on_quakes);
        assert_eq!(failed.result.unwrap_err(), "Office is a drill; set 'drills: skip' to pass over drills");
        let skipped = Delivery::new().config("drills", "skip").record("us", drill).to(&on_quakes);
        assert_eq!((skipped.result, skipped.log.len()), (Ok(()), 0));
    }
}
