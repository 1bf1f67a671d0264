//! `tidings token`: makes a token.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use tidings_core::Period;
use tidings_core::identity::Grant;

use super::error::CliError;
use crate::auth::{SigningKey, TokenRequest, mint, parse_grant};
use crate::config::Config;

/// Make a token (JWT) for a user, signed with an HS256 secret
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidings token ada --config tidings.toml
  tidings token ada --ttl 7d --grant 'chat:*=subscribe,publish,history,presence'
  TIDINGS_TOKEN=$(tidings token ada --config tidings.toml) tidings connect localhost:8000

Grants come on top of what a namespace allows everybody. Whoever has the token is the user: do not
put it where others can read it, nor the secret (--secret stays in the shell's history; a
configuration with secret_file does not).")]
pub(super) struct TokenArgs {
    /// The user: `sub` of the token
    user: String,
    /// How long it is good: 10m, 24h, 7d
    #[arg(long, default_value = "1h")]
    ttl: Period,
    /// What the user may do: PATTERN=ACTION,ACTION; a pattern is a channel or a prefix with `*`
    #[arg(long = "grant", value_name = "GRANT", value_parser = parse_grant)]
    grants: Vec<Grant>,
    /// The configuration with the key
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG", required_unless_present = "secret")]
    config: Option<PathBuf>,
    /// The id of the key in the configuration, if it is not the first HS256 one
    #[arg(long, value_name = "ID", conflicts_with = "secret")]
    key: Option<String>,
    /// The secret itself, at least 32 bytes
    #[arg(long, env = "TIDINGS_SECRET", hide_env_values = true)]
    secret: Option<String>,
}

pub(super) fn run(args: &TokenArgs) -> Result<(), CliError> {
    let key = match (&args.secret, &args.config) {
        (Some(secret), _) => SigningKey::from_secret(secret)?,
        (None, Some(path)) => {
            let config = Config::load(path)?;
            SigningKey::from_config(&config.auth, &config.base_dir(), args.key.as_deref())?
        }
        (None, None) => return Err(CliError::Usage("give --config or --secret".into())),
    };
    let request =
        TokenRequest { user: args.user.clone(), ttl: Some(args.ttl), grants: args.grants.clone() };
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    println!("{}", mint(&request, &key, wall_ms)?);
    Ok(())
}
