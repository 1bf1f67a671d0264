//! The commands of the binary.

mod bench;
mod config;
mod connect;
mod error;
mod logging;
mod publish;
mod remote;
mod serve;
mod style;
mod subscribe;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const AFTER_HELP: &str = "\
Start:
  tidings dev                                  a server for trying out, with a page to open
  tidings connect http://localhost:8000        chat with it from a terminal

Exit codes: 0 all went well; 1 refused, or failed; 2 wrong usage; 3 no connection";

/// Chat, presence, notifications, live data and documents in one binary
#[derive(Parser, Debug)]
#[command(name = "tidings", version, after_help = AFTER_HELP, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Dev(serve::DevArgs),
    Serve(serve::ServeArgs),
    Connect(connect::ConnectArgs),
    Publish(publish::PublishArgs),
    Subscribe(subscribe::SubscribeArgs),
    Token(token::TokenArgs),
    Config(config::ConfigArgs),
    Bench(tidings_bench::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Dev(args) => serve::dev(args),
        Command::Serve(args) => serve::serve(args),
        Command::Connect(args) => connect::run(args),
        Command::Publish(args) => publish::run(&args),
        Command::Subscribe(args) => subscribe::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Config(args) => config::run(args),
        Command::Bench(args) => return bench::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            error.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            if matches!(command.get_name(), "help" | "bench") {
                continue;
            }
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:\n  tidings "), "{}:\n{help}", command.get_name());
        }
    }

    #[test]
    fn commands_are_understood() {
        for line in [
            "tidings dev",
            "tidings dev --port 9000 --data /tmp/x --tls self-signed",
            "tidings serve --config tidings.toml --listen 0.0.0.0:8000",
            "tidings serve --config tidings.toml --log-format json",
            "tidings connect localhost:8000 --room lobby --name Ada",
            "tidings publish localhost:8000 chat:lobby {\"a\":1} --token x.y.z --key k",
            "tidings publish localhost:8000 chat:lobby hello --text",
            "tidings subscribe localhost:8000 chat:lobby --since 01f3a9c2d47be511:41 --count 2",
            "tidings subscribe https://a chat:lobby --rewind 10 --insecure",
            "tidings token ada --ttl 1h --grant chat:*=publish,subscribe --config tidings.toml",
            "tidings config check --config tidings.toml",
            "tidings config default",
            "tidings config reference",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in [
            "tidings",
            "tidings serve",
            "tidings dev --port 0x1",
            "tidings dev --log-format xml",
            "tidings publish localhost:8000 chat:lobby",
            "tidings publish localhost:8000 lobby 1",
            "tidings publish ftp://x chat:lobby 1",
            "tidings subscribe localhost:8000 chat:lobby --since 41",
            "tidings token",
            "tidings token ada --ttl 1hour",
            "tidings token ada --grant chat:*",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
