//! Traces and logs for a collector, by OTLP over HTTP. Off unless it is configured, and then spans
//! are never made.
//!
//! Threads of the SDK gather batches in queues of bounded length; what finds them full is dropped.
//! A thread of ours sends them. So a collector that is slow, away or lying costs nobody anything
//! but what it should have got.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{self, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{self, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tokio::runtime::{Builder, Handle};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::config;
use crate::outbound::Outbound;

/// What all spans are called by to filters: on with a collector, and off without. No module has
/// this name, or its log would go with them.
pub(crate) const TARGET: &str = "tidings::spans";

/// Spans, and as many log lines, that wait for being sent: some seconds of a busy API, and a few
/// megabytes at most.
const QUEUE: usize = 2048;

/// How many of them go at once, and how long the first of them waits.
const BATCH: usize = 512;
const EVERY: Duration = Duration::from_secs(2);

/// How long a collector may take for a batch.
const WITHIN: Duration = Duration::from_secs(5);

/// How long the end of the process waits for a collector to take what is left, and which part of
/// `server.drain` that is at most: clients have the rest.
const END_WITHIN: Duration = Duration::from_secs(2);
const END_SHARE: u32 = 4;

/// What of `server.drain` belongs to the collector.
pub(crate) fn last_words(config: &config::Config) -> Duration {
    match config.telemetry.endpoint {
        Some(_) => END_WITHIN.min(Duration::from_millis(config.server.drain.ms) / END_SHARE),
        None => Duration::ZERO,
    }
}

/// Batches that the collector took, and that it did not. One process has one collector, as it has
/// one log.
static TAKEN: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn exports() -> [(&'static str, u64); 2] {
    [("failed", FAILED.load(Relaxed)), ("taken", TAKEN.load(Relaxed))]
}

/// What cannot be used of the configuration: where, why, and what to do.
pub(crate) type Fault = (String, String, &'static str);

/// What is sent, and where it ends.
#[derive(Debug)]
pub(crate) struct Telemetry {
    traces: SdkTracerProvider,
    logs: Option<SdkLoggerProvider>,
}

/// A client of the SDK: hands requests to our thread, whose runtime they need.
#[derive(Debug)]
struct Collector {
    outbound: Outbound,
    runtime: Handle,
    /// Whether it has been said that nothing arrives.
    failing: AtomicBool,
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outbound = self.outbound.clone();
        let what = if request.uri().path().ends_with("/logs") { "logs" } else { "traces" };
        let request = request.map(Full::new);
        let sent = self.runtime.spawn(async move { outbound.ask(request).await }).await?;
        let why = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        let counter = if why.is_none() { &TAKEN } else { &FAILED };
        counter.fetch_add(1, Relaxed);
        // Said once, not for every batch.
        let before = self.failing.swap(why.is_some(), Relaxed);
        match why {
            Some(error) if !before => {
                tracing::warn!(%error, what, "the collector takes nothing, which is lost");
            }
            None if before => tracing::info!(what, "the collector takes what it is sent again"),
            _ => {}
        }
        Ok(sent?)
    }
}

/// Whether a configuration can be used.
///
/// # Errors
/// What cannot be used of it.
pub(crate) fn check(config: &config::Telemetry, base_dir: &Path) -> Result<(), Fault> {
    let fault = |key: &str, why: String, remedy| Err((format!("telemetry{key}"), why, remedy));
    if !(0.0..=1.0).contains(&config.sampling) {
        return fault(".sampling", format!("{} is not 0 to 1", config.sampling), "write 0.1");
    }
    headers(config, base_dir)?;
    let Some(endpoint) = &config.endpoint else { return Ok(()) };
    let uri = endpoint
        .parse::<Uri>()
        .ok()
        .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if uri.is_none() || endpoint.contains(['?', '#', '@']) {
        let why = format!("{endpoint:?} is not an address of a collector");
        return fault(".endpoint", why, "write http://HOST:4318 or https://HOST:4318");
    }
    match outbound(config, base_dir) {
        Ok(_) => Ok(()),
        Err(why) => fault(".ca_file", why, "the path is relative to the configuration file"),
    }
}

fn outbound(config: &config::Telemetry, base_dir: &Path) -> Result<Outbound, String> {
    let file = config.ca_file.as_ref().map(|path| base_dir.join(path));
    Outbound::new(file.as_deref(), WITHIN).map_err(|error| error.to_string())
}

fn headers(config: &config::Telemetry, base_dir: &Path) -> Result<HashMap<String, String>, Fault> {
    let mut headers = HashMap::new();
    for (index, header) in config.header.iter().enumerate() {
        let fault = |field: &str, why: String, remedy| {
            Err((format!("telemetry.header.{index}{field}"), why, remedy))
        };
        let value = match (&header.value, &header.value_file) {
            (Some(value), None) => value.expose().to_owned(),
            (None, Some(path)) => match std::fs::read_to_string(base_dir.join(path)) {
                Ok(text) => text.trim_end().to_owned(),
                Err(error) => {
                    let why = format!("{}: {error}", path.display());
                    let remedy = "the path is relative to the configuration file";
                    return fault(".value_file", why, remedy);
                }
            },
            _ => {
                let why = "exactly one of value and value_file is needed".to_owned();
                return fault("", why, "give the value, or a file that has it");
            }
        };
        if header.name.parse::<HeaderName>().is_err() || HeaderValue::from_str(&value).is_err() {
            let why = "HTTP has no such header field".to_owned();
            return fault("", why, "write a name as authorization, and a value of one line");
        }
        headers.insert(header.name.clone(), value);
    }
    Ok(headers)
}

impl Telemetry {
    /// Begins to gather, if there is a collector.
    ///
    /// # Errors
    /// When the configuration cannot be used, or the system gives no thread.
    pub(crate) fn start(
        config: &config::Telemetry,
        base_dir: &Path,
    ) -> Result<Option<Self>, String> {
        let Some(endpoint) = &config.endpoint else { return Ok(None) };
        let headers = headers(config, base_dir).map_err(|(key, why, _)| format!("{key}: {why}"))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let outbound = outbound(config, base_dir)?;
        let collector = || Collector {
            outbound: outbound.clone(),
            runtime: runtime.handle().clone(),
            failing: AtomicBool::new(false),
        };
        let url = |path: &str| format!("{}{path}", endpoint.trim_end_matches('/'));
        let resource = Resource::builder_empty()
            .with_service_name(config.service.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(collector())
            .with_endpoint(url("/v1/traces"))
            .with_headers(headers.clone())
            .with_timeout(WITHIN)
            .build()
            .map_err(|error| error.to_string())?;
        let sampler = Sampler::TraceIdRatioBased(config.sampling);
        let traces = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_span_processor(span_processor(exporter))
            .build();
        let mut logs = None;
        if config.logs {
            let exporter = LogExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_http_client(collector())
                .with_endpoint(url("/v1/logs"))
                .with_headers(headers)
                .with_timeout(WITHIN)
                .build()
                .map_err(|error| error.to_string())?;
            let provider = SdkLoggerProvider::builder().with_resource(resource);
            logs = Some(provider.with_log_processor(log_processor(exporter)).build());
        }
        std::thread::Builder::new()
            .name("telemetry".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .map_err(|error| error.to_string())?;
        Ok(Some(Self { traces, logs }))
    }

    /// Takes spans and what is logged: our own, or the requests of sending them would be sent too.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.traces.tracer("tidings"))
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(is_span));
        let logs = self.logs.as_ref();
        let logs =
            logs.map(|logs| OpenTelemetryTracingBridge::new(logs).with_filter(filter_fn(is_log)));
        spans.and_then(logs)
    }

    /// Sends what is left, `within` so long. A collector that does not take it in time does not
    /// get it.
    pub(crate) fn end(self, within: Duration) {
        let Self { traces, logs } = self;
        // Side by side: a collector that hangs is waited for once.
        let logs = std::thread::spawn(move || logs.map(|logs| logs.shutdown_with_timeout(within)));
        let _ = traces.shutdown_with_timeout(within);
        let _ = logs.join();
    }
}

fn span_processor(exporter: SpanExporter) -> BatchSpanProcessor {
    let batches = trace::BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(EVERY)
        .build();
    BatchSpanProcessor::builder(exporter).with_batch_config(batches).build()
}

fn log_processor(exporter: LogExporter) -> BatchLogProcessor {
    let batches = logs::BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(EVERY)
        .build();
    BatchLogProcessor::builder(exporter).with_batch_config(batches).build()
}

fn is_span(meta: &Metadata<'_>) -> bool {
    meta.is_span() && meta.target() == TARGET
}

fn is_log(meta: &Metadata<'_>) -> bool {
    meta.is_event() && meta.target().starts_with("tidings")
}

/// The header fields of a request, as the propagator reads them.
struct Fields<'a>(&'a HeaderMap);

impl Extractor for Fields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Makes what asked for `span` its parent: the W3C `traceparent` of a request.
pub(crate) fn follow(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let fields = Fields(headers);
    let asked = TraceContextPropagator::new().extract_with_context(&Context::new(), &fields);
    if asked.span().span_context().is_valid() {
        // Fails where nobody gathers spans.
        let _ = span.set_parent(asked);
    }
}
