//! `tidemill stream delete`

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use tidemill_client::Client;

use super::{CHANGE_DEADLINE, CHANGE_POLL};
use crate::cli::asked::Asked;
use crate::cli::output::to_stderr;
use crate::status::Report;

/// Delete a stream with all its records, and wait until it is gone.
///
/// On a terminal this asks first. Where standard input is no terminal it does nothing without --yes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill stream delete orders
  tidemill stream delete orders --yes")]
pub(super) struct DeleteArgs {
    /// The stream.
    name: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    asked: Asked,
}

pub(super) async fn delete(args: DeleteArgs) -> anyhow::Result<ExitCode> {
    let (asked, name) = (&args.asked, &args.name);
    let client = asked.client()?;
    let found = client.describe(name).await.map_err(|error| asked.stream_failure(name, error))?;
    if !args.yes {
        ensure!(
            io::stdin().is_terminal(),
            "nothing was deleted: nobody can be asked, as standard input is no terminal; say --yes to delete '{name}'"
        );
        let loss = loss(name, found.open_shard_count, &triggers(&client, name).await);
        if !is_confirmed(&loss)? {
            to_stderr("nothing was deleted");
            return Ok(ExitCode::FAILURE);
        }
    }
    client.delete_stream(name).await.map_err(|error| asked.stream_failure(name, error))?;
    let waited = tokio::time::timeout(CHANGE_DEADLINE, gone(&client, asked, name)).await;
    let Ok(gone) = waited else {
        bail!("the stream '{name}' is still being deleted after {} s", CHANGE_DEADLINE.as_secs());
    };
    gone?;
    to_stderr(&format!("deleted the stream '{name}'"));
    Ok(ExitCode::SUCCESS)
}

/// Who reads the stream. A node that does not say, because it is another server of the API, has no triggers.
async fn triggers(client: &Client, stream: &str) -> Vec<String> {
    let Ok(said) = client.status().await else { return Vec::new() };
    let Ok(report) = serde_json::from_value::<Report>(said) else { return Vec::new() };
    let of_stream = report.triggers.into_iter().filter(|trigger| trigger.stream == stream);
    let mut names: Vec<String> = of_stream.map(|trigger| trigger.trigger).collect();
    names.dedup();
    names
}

fn loss(name: &str, shards: u64, triggers: &[String]) -> String {
    let plural = if shards == 1 { "" } else { "s" };
    let stream = format!("This deletes the stream '{name}', its {shards} shard{plural} and all records in them.\n");
    match triggers {
        [] => stream,
        names => {
            let names = names.join(", ");
            format!("{stream}These triggers read it, and will wait for a stream of its name: {names}.\n")
        }
    }
}

fn is_confirmed(loss: &str) -> anyhow::Result<bool> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{loss}It cannot be undone. Delete it? [y/N] ").context("cannot ask")?;
    stderr.flush().context("cannot ask")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

async fn gone(client: &Client, asked: &Asked, name: &str) -> anyhow::Result<()> {
    let mut looks = tokio::time::interval(CHANGE_POLL);
    loop {
        looks.tick().await;
        match client.describe(name).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(asked.failure(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_lost_is_named() {
        assert_eq!(loss("orders", 1, &[]), "This deletes the stream 'orders', its 1 shard and all records in them.\n");
        let two = loss("orders", 2, &["a".to_owned(), "b".to_owned()]);
        assert!(two.contains("its 2 shards") && two.contains("of its name: a, b.\n"), "{two}");
    }
}
