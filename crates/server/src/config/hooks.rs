//! The tables of what the application's backend is asked.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_core::Period;
use tidings_core::policy::WhenDown;

use super::Secret;

/// Calls that ask your backend before something is done (docs/hooks.md): who may come in, who may
/// subscribe, what may be published. Each is off without its table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// Asked about sessions that begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<ConnectHook>,
    /// Asked about subscriptions, in namespaces whose `hooks` have `subscribe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<CommandHook>,
    /// Asked about publishes, in namespaces whose `hooks` have `publish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<CommandHook>,
}

/// Who says whose a token is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tokens {
    /// The server, with the keys of `[[auth.key]]`; then the backend is asked about the user.
    #[default]
    Verified,
    /// The backend: it is sent the token, which may be anything, and names the user.
    Opaque,
}

macro_rules! hook_table {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Where the backend is asked: `POST`, JSON. An internal address has to be in
            /// `egress.allow`.
            #[schemars(extend("examples" = ["https://app.example.com/tidings"]))]
            pub url: String,
            $($(#[$field_doc])* pub $field: $kind,)*
            /// Signs calls, so that the backend knows whose they are; at least 32 bytes. Better in
            /// `secret_file`.
            #[serde(skip_serializing)]
            #[schemars(extend("examples" = ["replace me: openssl rand -base64 32"]))]
            pub secret: Option<Secret>,
            /// A file with the secret, or with two while it is changed, one a line: each signs.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(extend("examples" = ["/run/secrets/tidings-hooks"]))]
            pub secret_file: Option<PathBuf>,
            /// How long an answer may take, the wait for a free place among `concurrency` included.
            pub timeout: Period,
            /// Calls under way at once.
            pub concurrency: usize,
            /// Questions that wait for a free place. What comes above this counts as not answered.
            pub queue: usize,
            /// What holds without an answer.
            pub when_down: WhenDown,
            /// Calls in a row without a good answer after which the backend is left alone for
            /// `pause`: questions count as not answered at once.
            pub failures: u32,
            /// How long it is left alone; then one call tries whether it is back. Doubled each time
            /// that it is not, up to `pause_max`.
            pub pause: Period,
            /// The longest pause.
            pub pause_max: Period,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    url: String::new(),
                    $($field: $default,)*
                    secret: None,
                    secret_file: None,
                    timeout: Period::secs(2),
                    concurrency: 64,
                    queue: 1000,
                    when_down: WhenDown::Deny,
                    failures: 5,
                    pause: Period::secs(1),
                    pause_max: Period::secs(30),
                }
            }
        }

        impl $name {
            pub(crate) fn call(&self) -> CallRules<'_> {
                CallRules {
                    url: &self.url,
                    secret: self.secret.as_ref(),
                    secret_file: self.secret_file.as_ref(),
                    timeout: self.timeout,
                    concurrency: self.concurrency,
                    queue: self.queue,
                    failures: self.failures,
                    pause: self.pause,
                    pause_max: self.pause_max,
                }
            }
        }
    };
}

/// What the tables have in common: how the backend is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallRules<'a> {
    pub(crate) url: &'a str,
    pub(crate) secret: Option<&'a Secret>,
    pub(crate) secret_file: Option<&'a PathBuf>,
    pub(crate) timeout: Period,
    pub(crate) concurrency: usize,
    pub(crate) queue: usize,
    pub(crate) failures: u32,
    pub(crate) pause: Period,
    pub(crate) pause_max: Period,
}

hook_table! {
    /// Asks your backend whether a session may begin, and whose it is.
    ConnectHook {
        /// Who says whose a token is.
        tokens: Tokens = Tokens::Verified,
        /// Asks about sessions too that go on by their ticket after their connection was lost. They
        /// were let in before; with many clients, a restart of a proxy is a storm of questions.
        resumed: bool = false,
        /// Headers of the connection's request that the backend is shown, in lower case.
        headers: Vec<String> = vec!["origin".into()],
    }
}

hook_table! {
    /// Asks your backend about a command.
    CommandHook {}
}

impl Hooks {
    /// All that there are, by name.
    pub(crate) fn calls(&self) -> [(&'static str, Option<CallRules<'_>>); 3] {
        [
            ("connect", self.connect.as_ref().map(ConnectHook::call)),
            ("publish", self.publish.as_ref().map(CommandHook::call)),
            ("subscribe", self.subscribe.as_ref().map(CommandHook::call)),
        ]
    }

    /// Secrets' files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.calls().into_iter().filter_map(|(_, call)| call?.secret_file)
    }

    /// As the engine has to know them.
    pub(crate) fn rules(&self) -> tidings_core::policy::Hooks {
        use tidings_core::policy::ConnectRule;
        let when_down = |hook: &Option<CommandHook>| {
            hook.as_ref().map_or(WhenDown::Deny, |hook| hook.when_down)
        };
        tidings_core::policy::Hooks {
            connect: self.connect.as_ref().map(|hook| ConnectRule {
                opaque: hook.tokens == Tokens::Opaque,
                resumed: hook.resumed,
                when_down: hook.when_down,
            }),
            publish: when_down(&self.publish),
            subscribe: when_down(&self.subscribe),
        }
    }
}
