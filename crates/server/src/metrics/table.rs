//! Every metric there is. `docs/metrics.md` is written from this table, and a test compares what is
//! served with it.

/// What a metric does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows while the server runs.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often a value was below each of some bounds.
    Histogram,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A metric. Labels take their values from small fixed sets: never a user, channel or session, of
/// which there are millions.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Empty: it counts things.
    pub(super) unit: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

macro_rules! metrics {
    ($($id:ident: $kind:ident $name:literal $unit:literal [$($label:literal)*]
        $help:literal;)*) => {
        $(pub(super) const $id: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// All of them, in the order in which they are served.
        pub(super) const TABLE: &[Metric] = &[$($id),*];
    };
}

metrics! {
    BUILD: Gauge "tidings_build_info" "" ["version"]
        "Always 1; the label says which version runs.";
    READY: Gauge "tidings_ready" "" []
        "1 while new sessions are taken, 0 at the start and while the server drains.";
    CONNECTIONS: Gauge "tidings_connections" "" ["transport"]
        "Connections with or without a session: `websocket`, `sse`, `eventsource`, `polling`, `editor` \
         (`/yjs/NAME`, `/hocuspocus`).";
    SESSIONS: Gauge "tidings_sessions" "" []
        "Sessions whose client is connected.";
    LOST: Gauge "tidings_lost_sessions" "" []
        "Sessions whose connection was lost and that still wait for their client, about.";
    CHANNELS: Gauge "tidings_channels" "" []
        "Channels in memory.";
    DOCUMENTS: Gauge "tidings_documents" "" []
        "Documents in memory; they are among the channels.";
    DOCUMENT_BYTES: Gauge "tidings_documents_memory_bytes" "bytes" []
        "What these take, about. At `limits.documents` on one shard idle ones are put away, and then no more are opened.";
    SUBSCRIPTIONS: Gauge "tidings_subscriptions" "" []
        "Subscriptions of all sessions.";
    TRACES: Gauge "tidings_traces" "" []
        "Traces of the API that run: somebody reads what sessions send and get.";
    OPENED: Counter "tidings_sessions_opened_total" "" ["transport"]
        "Sessions that began.";
    CLOSED: Counter "tidings_sessions_closed_total" "" ["code"]
        "Sessions that ended: by the close code that the server gave (4513: slow consumers, 4401 and \
         4403: refused tokens and users; see docs/protocol.md), `left` by a client that said \
         good-bye, or `lost` with its connection.";
    REFUSED: Counter "tidings_handshakes_refused_total" "" ["reason"]
        "Connections refused before they had a session: `busy` (limits.connections), `origin` \
         (server.origins), `rate` (rate.sessions, limits.sessions_per_address), `request` (no good upgrade), `tls` (the TLS handshake failed).";
    CERTIFICATE: Gauge "tidings_certificate_expiry_time_seconds" "seconds" []
        "When the certificate that is shown expires, in seconds since 1970; 0 while there is none from \
         the authority yet. Absent without TLS.";
    CERTIFICATES: Counter "tidings_certificate_orders_total" "" ["outcome"]
        "Orders of a certificate by `[server.tls.acme]`: `issued` ones are in force, `failed` ones \
         are tried again.";
    COMMANDS: Counter "tidings_commands_total" "" ["type" "outcome"]
        "Commands that were answered: `ok` or an error code of docs/protocol.md. `invalid`: could not \
         be understood. Combinations that never happened are left out.";
    PUBLISH: Histogram "tidings_publish_seconds" "seconds" []
        "How long publishes that succeeded took, from their arrival until the answer was given to the \
         socket: with the store, and with the way to the channel's shard and back.";
    PUBLISHED: Counter "tidings_events_published_total" "" ["kept"]
        "Events, by where they are kept: on `disk`, in `memory`, or `nowhere` (ephemeral ones).";
    DUPLICATES: Counter "tidings_publishes_repeated_total" "" []
        "Publishes that had been stored before: acknowledged again, and no second event.";
    NOTIFICATIONS: Counter "tidings_notifications_total" "" []
        "Notifications that were made: one for each user who was told.";
    MERGED: Counter "tidings_documents_merged_bytes_total" "bytes" []
        "Bytes of updates that became part of documents.";
    SYNCED: Counter "tidings_documents_synced_bytes_total" "bytes" []
        "Bytes of documents that were sent to whom they lacked: who opens them, or comes back.";
    DELIVERED: Counter "tidings_deliveries_total" "" ["source"]
        "Events and changes of presence queued for a subscriber: `live`, or out of `history` for one \
         that comes back or rewinds.";
    CONFLATED: Counter "tidings_conflated_frames_total" "" []
        "Frames with the newest values of some keys, in the place of their changes: to clients that \
         fall behind in a channel with `overflow = \"conflate\"` (docs/live-data.md).";
    BYTES_OUT: Counter "tidings_sent_bytes_total" "bytes" []
        "Bytes of frames handed to the sockets of clients, before TLS.";
    RECOVERIES: Counter "tidings_recoveries_total" "" ["outcome"]
        "Subscriptions that said where they stood: `recovered` all that was missed, or a gap because \
         it had `expired`, the channel has a `new_epoch`, or the client was `too_far`.";
    RESUMES: Counter "tidings_resumes_total" "" ["outcome"]
        "Sessions that came with a ticket: `resumed`, or `new` because nothing was left.";
    MAILBOX: Gauge "tidings_mailbox_length" "" ["shard"]
        "Messages that wait for a shard. Above limits.mailbox no client is read.";
    COMMIT: Histogram "tidings_store_commit_seconds" "seconds" []
        "How long the store took to make a batch of appends durable.";
    BATCH: Histogram "tidings_store_commit_appends" "" []
        "Appends that shared a commit.";
    SYNCS: Counter "tidings_store_syncs_total" "" []
        "Times the log was synced to the disk.";
    STORE_QUEUE: Gauge "tidings_store_queue_length" "" []
        "Appends and reads that wait for the storage thread.";
    STORE_ERRORS: Counter "tidings_store_errors_total" "" []
        "Appends that the disk refused; their publishers were told `unavailable`.";
    ASK_OUTCOMES: Counter "tidings_hook_questions_total" "" ["hook" "outcome"]
        "Questions to the application's backend (docs/hooks.md): `allowed`, `denied`, `failed` (no answer \
         that can be used), `timed_out`, `skipped` (the backend is left alone because it does not \
         answer) or `full` (hooks.*.queue).";
    ASK_SECONDS: Histogram "tidings_hook_call_seconds" "seconds" ["hook"]
        "How long a call of the backend took.";
    ASK_UNDER_WAY: Gauge "tidings_hook_calls" "" ["hook"]
        "Calls of the backend under way.";
    ASK_QUEUE: Gauge "tidings_hook_queue_length" "" ["hook"]
        "Questions that wait for a free place among hooks.*.concurrency.";
    ASK_OPEN: Gauge "tidings_hook_breaker_open" "" ["hook"]
        "1 while the backend is left alone because it does not answer.";
    QUESTIONS: Gauge "tidings_questions" "" []
        "Sessions, subscriptions and publishes that wait for the backend.";
    HOOK_QUEUE: Gauge "tidings_webhook_queue_length" "" ["webhook"]
        "Items that wait to be told.";
    HOOK_AGE: Gauge "tidings_webhook_oldest_seconds" "seconds" ["webhook"]
        "How long the oldest of them has waited: watch this.";
    HOOK_TOLD: Counter "tidings_webhook_items_total" "" ["webhook"]
        "Items that the backend has taken, some of them twice after a restart.";
    HOOK_FAILED: Counter "tidings_webhook_failures_total" "" ["webhook"]
        "Calls that failed; what they were to tell is tried again.";
    HOOK_DROPPED: Counter "tidings_webhook_dropped_total" "" ["webhook" "reason"]
        "Items that will never be told: `expired` (keep), `full` (queue, queue_bytes), or the `disk` \
         took nothing.";
    NOTICES_DROPPED: Counter "tidings_events_unnoticed_total" "" []
        "Events in memory that no webhook is told of, because the storage thread cannot keep up.";
    PUSH_QUEUE: Gauge "tidings_push_queue_length" "" []
        "Notifications that wait for their push (docs/web-push.md): for their delay to be over, or for a \
         push service.";
    PUSH_CALLS: Counter "tidings_push_calls_total" "" ["outcome"]
        "Calls of push services: `sent`, `failed` (it is tried again), `gone` (the subscription is over \
         and was removed) or `refused` (it is not tried again).";
    PUSH_SPARED: Counter "tidings_push_spared_total" "" ["reason"]
        "Notifications that had their turn and needed no push: the user was `present`, or it was \
         `unwanted`, because it was seen, is over, or there is no subscription.";
    PUSH_DROPPED: Counter "tidings_push_dropped_total" "" ["reason"]
        "Notifications that were not pushed to all browsers: `disk` (it could not be stored that they \
         are due), `expired` (push.ttl) or `full` (push.queue).";
    RELOADS: Counter "tidings_reloads_total" "" ["outcome"]
        "Changes of the configuration file: `taken`, or `refused` as a whole.";
    TELEMETRY: Counter "tidings_telemetry_exports_total" "" ["outcome"]
        "Batches of traces and logs for the collector of `[telemetry]`: `taken`, or `failed` and lost.";
    CPU: Counter "process_cpu_seconds_total" "seconds" []
        "Time on processors, user and system.";
    MEMORY: Gauge "process_resident_memory_bytes" "bytes" []
        "Memory in use.";
    OPEN_FDS: Gauge "process_open_fds" "" []
        "Open file descriptors: one for each connection, and some more.";
    MAX_FDS: Gauge "process_max_fds" "" []
        "Descriptors that the process may have.";
    START_TIME: Gauge "process_start_time_seconds" "seconds" []
        "When the process started, in seconds since 1970.";
}
