//! Amounts with units: `24h`, `500ms`, `64MiB`.

use std::time::Duration;

/// The units of a duration, for messages.
pub(super) const DURATION_UNITS: &str = "ms, s, m, h, d";
/// The units of a size, for messages.
pub(super) const SIZE_UNITS: &str = "B, KiB, MiB, GiB";

/// Reads `1500ms`, `5s`, `10m`, `24h` or `7d`: a whole number and a unit. `None` for anything else. What is too large to
/// count is the largest there is, which no range takes.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (amount, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 24 * 3600 * 1000,
        _ => return None,
    };
    Some(Duration::from_millis(amount.saturating_mul(millis)))
}

/// Like [`duration`], for command lines.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| format!("write a whole number and a unit ({DURATION_UNITS}), like 90s"))
}

/// Like [`size_bytes`], for command lines.
pub(crate) fn parse_quota(text: &str) -> Result<u64, String> {
    let bytes =
        size_bytes(text).ok_or_else(|| format!("write a whole number and a unit ({SIZE_UNITS}), like 100GiB"))?;
    let least = crate::limits::DISK_QUOTA_BYTES_MIN;
    if bytes < least { Err(format!("a quota has {} at least", print_size(least))) } else { Ok(bytes) }
}

/// Reads `512B`, `64KiB`, `64MiB` or `1GiB`: a whole number and a unit, in bytes. `None` for anything else; too large as above.
pub(super) fn size_bytes(text: &str) -> Option<u64> {
    let (amount, unit) = split(text)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    Some(amount.saturating_mul(1 << shift))
}

/// The number and the unit; a blank between them is allowed.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (amount, unit) = text.split_at(digits);
    let amount = if digits == 0 { return None } else { amount.parse().unwrap_or(u64::MAX) };
    Some((amount, unit.trim_start()))
}

/// A duration as a manifest would give it.
pub(crate) fn print_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let fitting = units.into_iter().find(|(_, unit)| millis != 0 && millis.is_multiple_of(*unit));
    fitting.map_or_else(|| format!("{millis}ms"), |(name, unit)| format!("{}{name}", millis / unit))
}

/// A size as a manifest would give it.
pub(super) fn print_size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let fitting = units.into_iter().find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit));
    fitting.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, millis) in [("500ms", 500), ("5s", 5000), ("2 m", 120_000), ("24h", 86_400_000), ("1d", 86_400_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "5", "s", "5 sec", "-5s", "1.5s", "99999999999999999999"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        for (text, bytes) in [("1B", 1), ("2KiB", 2048), ("64MiB", 64 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(size_bytes(text), Some(bytes), "{text}");
        }
        for bad in ["64", "64MB", "MiB", "64mib"] {
            assert_eq!(size_bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_too_large_to_count_is_the_largest() {
        for text in ["99999999999999999999s", "9999999999999999999d"] {
            assert_eq!(duration(text), Some(Duration::from_millis(u64::MAX)), "{text}");
        }
        assert_eq!(size_bytes("99999999999999GiB"), Some(u64::MAX));
    }

    #[test]
    fn amounts_are_printed_as_they_are_read() {
        for text in ["0ms", "1500ms", "5s", "90s", "2m", "24h"] {
            assert_eq!(print_duration(duration(text).unwrap()), text);
        }
        for text in ["0B", "100B", "3KiB", "64MiB", "4GiB"] {
            assert_eq!(print_size(size_bytes(text).unwrap()), text);
        }
    }
}
