//! `tidemill tail`: shows records as they arrive.

mod beginning;
mod follow;
mod shown;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use self::beginning::Beginning;
use self::follow::{Follow, FollowError};

use self::shown::{Out, Shown};
use super::INTERRUPTED;
use super::asked::Asked;
use super::output::{reader_gone, to_stderr};
use super::patience::Patience;
use super::signals::Stop;
use super::text;

/// How long nothing is asked after a round in which nothing came. Kinesis allows 5 reads a second of a shard.
const IDLE_WAIT: Duration = Duration::from_millis(250);

/// Show the records of a stream as they arrive.
///
/// A line has the time of arrival (UTC), the shard, the partition key and the data: as text, or as base64 behind
/// 'base64:' where the data is not UTF-8. On a terminal a line is cut to its width; elsewhere it is whole and its fields
/// are divided by tabs. The records of a shard come in their order, and those of a split or merged shard before its
/// children's; different shards are not sorted by time. Shards that appear later are found.
///
/// A node that goes away is waited for. Ctrl-C ends a tail that would go on for ever with 0, and one that has an end
/// (--limit, --no-follow) and did not reach it with 130.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidemill tail orders
  tidemill tail orders --from trim-horizon --no-follow --json
  tidemill tail orders --from 15m --shard 2
  tidemill tail orders --from 2026-11-22T08:00:00Z --limit 100")]
pub(super) struct TailArgs {
    /// The stream.
    stream: String,
    /// Where to begin: trim-horizon (the oldest record), latest, a time like 2026-11-22T08:00:00Z, or how long ago,
    /// like 90s, 15m or 2h. Unless it is said: latest, or trim-horizon with --no-follow.
    #[arg(long, value_name = "WHERE")]
    from: Option<Beginning>,
    /// Only this shard: its number or its id.
    #[arg(long, value_name = "ID")]
    shard: Option<String>,
    /// Stop after so many records.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Stop at the newest record.
    #[arg(long)]
    no_follow: bool,
    /// Print one JSON object a line, with the data as text, or as base64 where it is not UTF-8.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

impl TailArgs {
    fn start(&self) -> Beginning {
        let default = if self.no_follow { Beginning::TrimHorizon } else { Beginning::Latest };
        self.from.unwrap_or(default)
    }

    fn shown(&self) -> Shown {
        match (self.json, text::terminal()) {
            (true, _) => Shown::Json,
            (false, Some(size)) => Shown::Columns(size.columns),
            (false, None) => Shown::Tabs,
        }
    }

    fn has_end(&self) -> bool {
        self.no_follow || self.limit.is_some()
    }
}

pub(super) async fn tail(args: TailArgs) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::new()?;
    let mut tail = tokio::select! {
        biased;
        () = stop.received() => return Ok(interrupted(&args)),
        tail = Tail::new(&args) => tail?,
    };
    tokio::select! {
        biased;
        () = stop.received() => Ok(interrupted(&args)),
        () = reader_gone() => Ok(ExitCode::SUCCESS),
        done = tail.run() => done.map(|()| ExitCode::SUCCESS),
    }
}

fn interrupted(args: &TailArgs) -> ExitCode {
    if args.has_end() { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS }
}

struct Tail<'a> {
    args: &'a TailArgs,
    follow: Follow,
    patience: Patience,
    out: Out,
}

impl<'a> Tail<'a> {
    async fn new(args: &'a TailArgs) -> anyhow::Result<Self> {
        let follow = Follow::new(args.asked.client()?, &args.stream, args.shard.as_deref(), args.start());
        let mut tail = Self {
            args,
            follow,
            patience: Patience::new(args.asked.url.clone()),
            out: Out::new(args.shown(), args.limit),
        };
        // The first answer is not waited for: it is more likely that the node's address is wrong.
        tail.follow.find_shards().await.map_err(|error| tail.failure(error))?;
        Ok(tail)
    }

    /// Until the limit, the end of what there is to read, or that nobody reads the output any more.
    async fn run(&mut self) -> anyhow::Result<()> {
        while self.out.is_open() && !self.is_done() {
            match self.round().await {
                Ok(has_moved) => {
                    self.patience.answered();
                    if !has_moved && !self.is_done() {
                        tokio::time::sleep(IDLE_WAIT).await;
                    }
                }
                Err(RoundError::Follow(FollowError::Client(error))) if error.is_passing() && !self.args.no_follow => {
                    self.patience.wait(&error).await;
                }
                Err(RoundError::Follow(error)) => return Err(self.failure(error)),
                Err(RoundError::Output(error)) => return Err(error),
            }
        }
        if self.follow.has_ended() && !self.args.no_follow {
            to_stderr("the shard is closed and this is its end; 'tidemill shard' shows which shards have its part now");
        }
        Ok(())
    }

    /// One turn of each shard; whether there may be more at once.
    async fn round(&mut self) -> Result<bool, RoundError> {
        self.follow.find_shards().await?;
        let mut has_moved = false;
        for index in 0..self.follow.shards() {
            if self.args.no_follow && self.follow.is_at_tip(index) {
                continue; // what comes behind it is not waited for
            }
            let turn = self.follow.read(index).await?;
            has_moved |= turn.has_moved;
            self.out.show(self.follow.shard(index), &turn.records).map_err(RoundError::Output)?;
        }
        Ok(has_moved)
    }

    fn is_done(&self) -> bool {
        let mut shards = 0..self.follow.shards();
        self.follow.has_ended() || self.args.no_follow && shards.all(|index| self.follow.is_at_tip(index))
    }

    fn failure(&self, error: FollowError) -> anyhow::Error {
        match error {
            FollowError::Client(error) => self.args.asked.stream_failure(&self.args.stream, error),
            FollowError::NoShard { .. } => error.into(),
        }
    }
}

/// What ended a round.
enum RoundError {
    Follow(FollowError),
    Output(anyhow::Error),
}

impl From<FollowError> for RoundError {
    fn from(error: FollowError) -> Self {
        Self::Follow(error)
    }
}
