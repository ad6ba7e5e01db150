//! The command line. Each command is a file: its arguments, its help and what it does.
//!
//! Standard output belongs to what a command was asked for; everything else goes to standard error. A command ends with
//! 0 when it did what it was asked to, with 1 when it could not, with 2 when it was not asked
//! rightly; a put, an fsck or a tail that was interrupted before its end ends with 130.

mod access;
mod aids;
mod asked;
mod check;
mod deploy;
mod fsck;
mod health;
mod invoke;
mod logs;
mod new;
mod open_files;
mod output;
mod patience;
mod put;
mod serve;
mod shard;
mod signals;
mod status;
mod stream;
mod supervised;
mod tail;
mod text;
mod view;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// The exit code of a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// What a script wants to know of every command.
const ENDS: &str = "Exit codes:
  0    it did what it was asked to
  1    it could not; standard error says why
  2    it was not asked rightly
  130  it was interrupted before its end";

/// Keeps streams and runs WebAssembly functions on them.
#[derive(Debug, Parser)]
#[command(name = "tidemill", version, about, max_term_width = 100, after_help = ENDS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(serve::UpArgs),
    Serve(serve::ServeArgs),
    Check(check::CheckArgs),
    Deploy(deploy::DeployArgs),
    Fsck(fsck::FsckArgs),
    Health(health::HealthArgs),
    Invoke(invoke::InvokeArgs),
    Logs(logs::LogsArgs),
    New(new::NewArgs),
    Put(put::PutArgs),
    Tail(tail::TailArgs),
    Stream(stream::StreamArgs),
    Shard(shard::ShardArgs),
    Status(status::StatusArgs),
}

/// All commands with their arguments, as `docs/cli.md` shows them.
#[doc(hidden)]
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Does what the arguments say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start threads")),
    };
    let done = runtime.block_on(run(cli.command));
    // Whatever still blocks a thread (a read of standard input) is not waited for.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| failed(&error))
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => serve::up(args).await?,
        Command::Serve(args) => serve::serve(args).await?,
        Command::Check(args) => check::check(&args)?,
        Command::New(args) => new::new(&args)?,
        Command::Deploy(args) => return deploy::deploy(args).await,
        Command::Fsck(args) => return fsck::fsck(args).await,
        Command::Invoke(args) => return invoke::invoke(args).await,
        Command::Logs(args) => return logs::logs(args).await,
        Command::Put(args) => return put::put(args).await,
        Command::Tail(args) => return tail::tail(args).await,
        Command::Stream(args) => return stream::stream(args).await,
        Command::Health(args) => health::health(&args).await?,
        Command::Shard(args) => shard::shard(args).await?,
        Command::Status(args) => return status::status(args).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    if output::is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    output::to_stderr(&format!("error: {}", output::with_causes(error)));
    ExitCode::FAILURE
}
