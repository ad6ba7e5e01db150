//! How far triggers have come and what functions log, for those who wait for it.

use std::sync::Arc;

use anyhow::Context as _;
use tidemill_stream::engine::{Bound, Key};
use tidemill_stream::name::StreamName;
use tidemill_stream::read::StartAt;
use tidemill_stream::shard::ShardIndex;
use tidemill_stream::stream::Stream;

use super::Node;
use crate::functions::{FunctionLog, FunctionName};
use crate::trigger;

/// Where the shards of a stream ended at a moment.
#[derive(Debug, Clone)]
pub struct Ends {
    stream: Arc<Stream>,
    shards: Vec<(ShardIndex, Bound)>,
}

impl Node {
    /// Where the stream's shards end now: behind their newest records.
    pub async fn ends(&self, stream: &StreamName) -> anyhow::Result<Ends> {
        let stream = self.store.stream(stream)?;
        let mut shards = Vec::with_capacity(stream.shards.len());
        for shard in &stream.shards {
            shards.push((shard.index, self.store.position(&stream, shard.index, StartAt::Latest).await?));
        }
        Ok(Ends { stream, shards })
    }

    /// The last lines of a function that is deployed.
    pub fn function_log(&self, function: &FunctionName) -> Option<FunctionLog> {
        self.functions.log(function)
    }

    /// Whether the trigger is done with every record before these ends.
    pub async fn has_reached(&self, trigger: &str, ends: &Ends) -> anyhow::Result<bool> {
        let key = Key::new(format!("{}{trigger}", trigger::PREFIX));
        let Some(document) = self.store.engine().get(&key).await? else { return Ok(false) };
        let stored = trigger::read_document(key.as_str(), &document.value).map_err(anyhow::Error::msg)?;
        let (trigger, stream) = stored.context("the document is not a trigger's")?;
        if stream != ends.stream.id {
            return Ok(false);
        }
        for (shard, end) in &ends.shards {
            let cursor = self.store.cursor(trigger, *shard).await?;
            if cursor.is_none_or(|cursor| cursor.progress.low() < *end) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
