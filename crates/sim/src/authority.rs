//! Tokens and tickets that a test can read: `user:ada;exp=1777636800000;grants=chat:*=publish`.

use tidings_core::identity::{Action, Authority, Grant, Identity, TokenError};

/// Checks tokens of the form `user:NAME[;exp=MS][;grants=PATTERN=ACTION+ACTION,…]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestAuthority;

fn refused(why: &str) -> TokenError {
    TokenError::Refused(why.into())
}

fn grant(text: &str) -> Option<Grant> {
    let (pattern, actions) = text.rsplit_once('=')?;
    let action = |name: &str| Action::ALL.into_iter().find(|action| action.as_str() == name);
    let actions = actions.split('+').map(action).collect::<Option<Vec<_>>>()?;
    Some(Grant { pattern: pattern.into(), actions })
}

fn sign(session: u64, expires_ms: u64) -> u64 {
    (session ^ expires_ms.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Authority for TestAuthority {
    fn verify(&self, token: &str, wall_ms: u64) -> Result<Identity, TokenError> {
        let mut parts = token.split(';');
        let user = parts.next().and_then(|first| first.strip_prefix("user:"));
        let user = user.filter(|user| !user.is_empty() && !user.starts_with("anon-"));
        let user = user.ok_or_else(|| refused("it names no user"))?;
        let (mut expires_at_ms, mut grants) = (None, None);
        for part in parts {
            if let Some(exp) = part.strip_prefix("exp=") {
                expires_at_ms = Some(exp.parse().map_err(|_| refused("`exp` is no number"))?);
            } else if let Some(list) = part.strip_prefix("grants=") {
                let list = list.split(',').map(grant).collect::<Option<Vec<_>>>();
                grants = Some(list.ok_or_else(|| refused("`grants` is wrong"))?.into());
            } else {
                return Err(refused("it has an unknown part"));
            }
        }
        if expires_at_ms.is_some_and(|at| at <= wall_ms) {
            return Err(TokenError::Expired);
        }
        Ok(Identity {
            user: user.into(),
            anonymous: false,
            key: 1,
            expires_at_ms,
            issued_at_ms: 0,
            token: None,
            grants,
        })
    }

    fn sign_ticket(&self, session: u64, expires_ms: u64) -> String {
        format!("{session:016x}.{expires_ms}.{:016x}", sign(session, expires_ms))
    }

    fn read_ticket(&self, ticket: &str, wall_ms: u64) -> Option<u64> {
        let mut parts = ticket.split('.');
        let session = u64::from_str_radix(parts.next()?, 16).ok()?;
        let expires_ms: u64 = parts.next()?.parse().ok()?;
        let proof = u64::from_str_radix(parts.next()?, 16).ok()?;
        (proof == sign(session, expires_ms) && expires_ms > wall_ms).then_some(session)
    }
}
