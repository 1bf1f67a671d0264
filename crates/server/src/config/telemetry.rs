//! The tables of traces and logs for a collector.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;

/// Traces and logs for a collector that speaks OTLP over HTTP. Without `endpoint` it is off.
/// Metrics are at `/metrics`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Where the collector is. `/v1/traces` and `/v1/logs` are put behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["http://127.0.0.1:4318"]))]
    pub endpoint: Option<String>,
    /// What this server is called there (`service.name`).
    pub service: String,
    /// The part of traces that are kept, 0 to 1. A request that comes with a trace of its own
    /// (`traceparent`) is kept if that is.
    pub sampling: f64,
    /// Sends what is logged as well, as much as RUST_LOG says.
    pub logs: bool,
    /// The certificates (PEM) by which the collector is known. Without it those are trusted that
    /// browsers trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/etc/tidings/ca.pem"]))]
    pub ca_file: Option<PathBuf>,
    /// What each request to the collector carries.
    pub header: Vec<TelemetryHeader>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            endpoint: None,
            service: "tidings".into(),
            sampling: 1.0,
            logs: true,
            ca_file: None,
            header: Vec::new(),
        }
    }
}

/// A header field for the collector, as it wants to know who sends: exactly one of `value` and
/// `value_file`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryHeader {
    /// Its name.
    #[schemars(extend("examples" = ["authorization"]))]
    pub name: String,
    /// The value itself. Better in `value_file`.
    #[serde(skip_serializing)]
    #[schemars(extend("examples" = ["Bearer replace-me"]))]
    pub value: Option<Secret>,
    /// A file with the value; white space at its end does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/run/secrets/collector"]))]
    pub value_file: Option<PathBuf>,
}
