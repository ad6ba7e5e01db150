//! Answers who asks for the lines of a function: at once, or when there is one.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::functions::{FunctionName, Functions};
use crate::http::{LogProvider, LogQuestion};
use crate::status::LogReport;

/// What the door answers with; whoever waits is answered when the node is `stopping`.
pub(super) fn provider(functions: &Functions, stopping: &CancellationToken) -> LogProvider {
    let (functions, stopping) = (functions.clone(), stopping.clone());
    Arc::new(move |question| {
        let (functions, stopping) = (functions.clone(), stopping.clone());
        Box::pin(async move {
            let report = report(&functions, &question, &stopping).await?;
            serde_json::to_value(report).ok()
        })
    })
}

async fn report(functions: &Functions, question: &LogQuestion, stopping: &CancellationToken) -> Option<LogReport> {
    let log = functions.log(&FunctionName::parse(&question.function).ok()?)?;
    let Some(after) = question.after else { return Some(LogReport::of(log.last(question.lines_max))) };
    let mut newest = log.newest();
    tokio::select! {
        biased;
        () = stopping.cancelled() => {}
        // A number that is not reached yet is of a node before this one: nobody waits for it.
        _ = newest.wait_for(|newest| *newest != after) => {}
        () = tokio::time::sleep(question.wait) => {}
    }
    Some(LogReport::of(log.after(after, question.lines_max)))
}
