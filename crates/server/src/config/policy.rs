//! From the configuration to the engine's policy.

use std::path::Path;
use std::sync::Arc;

use tidings_core::policy::{DataSchema, Namespace, NamespacePolicy, Policy};

use super::{Config, ConfigError, Problem};
use crate::schema::JsonSchema;

impl Config {
    /// The namespaces with their schemas compiled. `schema_file` is relative to `base_dir`.
    ///
    /// # Errors
    /// When a schema cannot be read or is none.
    pub fn policy(&self, base_dir: &Path) -> Result<Policy, ConfigError> {
        let (anonymous, wants) = (self.auth.anonymous, self.wants());
        let hooks = self.hooks.rules();
        let mut policy = Policy { anonymous, hooks, wants, ..Policy::default() };
        let mut problems = Vec::new();
        for (name, rules) in &self.namespace {
            match self.schema(name, rules, base_dir) {
                Ok(schema) => {
                    let name: Box<str> = name.as_str().into();
                    let rules = rules.clone();
                    let namespace = Namespace { name: name.clone(), policy: rules, schema };
                    policy.namespaces.insert(name, Arc::new(namespace));
                }
                Err(problem) => problems.push(problem),
            }
        }
        for (name, rules) in self.inbox.namespaces() {
            let namespace = Namespace { name: name.into(), policy: rules, schema: None };
            policy.namespaces.insert(name.into(), Arc::new(namespace));
        }
        if problems.is_empty() { Ok(policy) } else { Err(ConfigError { problems }) }
    }

    fn schema(
        &self,
        name: &str,
        rules: &NamespacePolicy,
        base_dir: &Path,
    ) -> Result<Option<Arc<dyn DataSchema>>, Problem> {
        let Some(file) = &rules.schema_file else { return Ok(None) };
        let path = base_dir.join(file);
        let key = format!("namespace.{name}.schema_file");
        let problem = |what: String, remedy: &str| {
            self.problem(&key, format!("{}: {what}", path.display()), remedy)
        };
        let text = std::fs::read_to_string(&path).map_err(|error| {
            problem(
                format!("cannot read the schema: {error}"),
                "the path is relative to the configuration file",
            )
        })?;
        let schema = JsonSchema::compile(&text).map_err(|error| {
            let remedy = "a schema is JSON Schema (2020-12) in one file: refer to parts of it as \
                          \"#/$defs/name\"";
            problem(format!("not a JSON Schema: {error}"), remedy)
        })?;
        Ok(Some(Arc::new(schema)))
    }

    /// A problem of `key`, with its place in the file.
    pub(crate) fn problem(&self, key: &str, message: String, remedy: &str) -> Problem {
        Problem { place: self.source.find(key), key: key.into(), message, remedy: remedy.into() }
    }
}
