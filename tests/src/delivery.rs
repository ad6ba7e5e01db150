//! What a recording function saw, taken from the node's log.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A record that a function saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which function.
    pub function: String,
    /// In which shard.
    pub shard: String,
    /// The record's partition key.
    pub key: String,
    /// Its sequence number.
    pub sequence: String,
    /// Its data.
    pub data: String,
}

/// The deliveries that these lines of a node's JSON log tell of, in order.
pub fn deliveries(lines: &[String]) -> Vec<Delivery> {
    lines.iter().filter_map(|line| delivery(line)).collect()
}

/// What one line tells: `record key=K seq=S data=D`, by a function.
fn delivery(line: &str) -> Option<Delivery> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = text("message")?;
    let mut words = message.strip_prefix("record ")?.split(' ').filter_map(|word| word.split_once('='));
    let mut word = |name: &str| words.next().filter(|(found, _)| *found == name).map(|(_, value)| value.to_owned());
    Some(Delivery {
        function: text("function")?,
        shard: text("shard")?,
        key: word("key")?,
        sequence: word("seq")?,
        data: word("data")?,
    })
}

/// A number that a producer gave each record of a key, in the order of its puts.
fn number(delivery: &Delivery) -> Option<u64> {
    delivery.data.parse().ok()
}

/// Checks that each key's numbers rise on first delivery. Returns the first that does not.
pub fn first_out_of_order(deliveries: &[Delivery]) -> Option<&Delivery> {
    let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
    let mut seen: BTreeSet<(&str, u64)> = BTreeSet::new();
    deliveries.iter().find(|delivery| {
        let Some(number) = number(delivery) else { return true };
        let is_first = seen.insert((&delivery.key, number));
        let highest = highest.entry(&delivery.key).or_default();
        let is_late = is_first && number < *highest;
        *highest = number.max(*highest);
        is_late
    })
}

/// The records that were acknowledged and never delivered.
pub fn missing(acknowledged: &BTreeSet<(String, u64)>, deliveries: &[Delivery]) -> Vec<(String, u64)> {
    let seen: BTreeSet<(String, u64)> =
        deliveries.iter().filter_map(|delivery| Some((delivery.key.clone(), number(delivery)?))).collect();
    acknowledged.difference(&seen).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, data: u64) -> String {
        let message = format!("record key={key} seq=49 data={data}");
        serde_json::json!({"message": message, "function": "f", "shard": "s"}).to_string()
    }

    #[test]
    fn the_checks_can_fail() {
        let good = deliveries(&[line("a", 1), line("b", 5), line("a", 2), line("a", 1), line("a", 3)]);
        assert_eq!(good.len(), 5);
        assert_eq!(first_out_of_order(&good), None);
        let late = deliveries(&[line("a", 1), line("a", 3), line("a", 2)]);
        assert_eq!(first_out_of_order(&late), late.last());
        let acknowledged = [("a".to_owned(), 3), ("a".to_owned(), 4)].into();
        assert_eq!(missing(&acknowledged, &good), [("a".to_owned(), 4)]);
    }

    #[test]
    fn other_lines_tell_nothing() {
        let lines = ["", "{", "{\"message\":\"recorded\"}", "started"].map(str::to_owned);
        assert!(deliveries(&lines).is_empty());
    }
}
