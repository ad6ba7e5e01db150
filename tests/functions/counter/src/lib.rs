//! Adds up how many bytes its records have: as little work as a function can do that looks at each record. For the
//! benchmarks.

use std::sync::atomic::{AtomicU64, Ordering};

use tidemill_function::{Batch, Raw, Result, handler};

handler!(count);

static BYTES: AtomicU64 = AtomicU64::new(0);

fn count(batch: Batch<Raw>) -> Result<()> {
    let bytes: usize = batch.iter().map(|record| record.value.0.len()).sum();
    BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    Ok(())
}
