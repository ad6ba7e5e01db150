//! Logs one line for each record, so that a test sees what arrived and in which order.

use tidemill_function::{Batch, Raw, Result, handler, log};

handler!(record_all);

fn record_all(batch: Batch<Raw>) -> Result<()> {
    for record in &batch {
        let (key, number, data) = (&record.partition_key, record.sequence_number(), record.text()?);
        log::info(&format!("record key={key} seq={number} data={data}"));
    }
    Ok(())
}
