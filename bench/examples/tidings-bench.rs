//! `tidings bench` without the server: `cargo run --release --example tidings-bench -- bench …`.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Loads a server and measures it
    Bench(tidings_bench::Args),
}

fn main() -> ExitCode {
    let Command::Bench(args) = Cli::parse().command;
    tidings_bench::run(args).unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}
