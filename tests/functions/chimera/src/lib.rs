//! A component of both worlds at once, which nobody could call.

use tidemill_function::lambda::KinesisEvent;
use tidemill_function::{Batch, Raw, Result, handler, lambda_handler};

handler!(typed);
lambda_handler!(event);

fn typed(_: Batch<Raw>) -> Result<()> {
    Ok(())
}

fn event(_: KinesisEvent) -> Result<()> {
    Ok(())
}
