use std::fs;

use tempfile::TempDir;

use super::*;

/// The beginning of a table that is good when it has `domains`.
const ACME: &str = "[server.tls.acme]\nterms_agreed = true\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text.into(), Path::new("tidings.toml"))
}

/// What `tidings config check` would say about `text`, in a folder with a few files.
fn check(text: &str) -> Result<Vec<Problem>, ConfigError> {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("short"), "too short\n").unwrap();
    fs::write(dir.path().join("secret"), "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::write(dir.path().join("schema.json"), r#"{"type":"object"}"#).unwrap();
    fs::write(dir.path().join("bad.json"), r#"{"type":"objekt"}"#).unwrap();
    let text = format!("{text}\n[namespace.chat]\n");
    parse(&text).and_then(|config| config.check(dir.path()))
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn dev_has_nothing_to_complain_about() {
    assert_eq!(Config::dev().check(Path::new(".")), Ok(vec![]));
}

#[test]
fn what_cannot_be_read_names_its_place() {
    for (text, place, message, remedy) in [
        ("[server]\nlisten = \"localhost\"", "2:10", "invalid socket address", ""),
        ("[server]\n  lisen = \"127.0.0.1:1\"", "2:3", "unknown field `lisen`", "`listen`"),
        ("[limits]\nheartbeat = \"25\"", "2:13", "write 250ms", ""),
        ("[limits]\nheartbeat = 25", "2:13", "invalid type", ""),
        ("[store]\nlevel = \"sync\"", "2:9", "unknown variant `sync`", "`fsync`"),
        ("[server\n", "1:8", "", ""),
        ("[namespace.chat]\npublish = \"all\"", "2:11", "unknown variant", ""),
    ] {
        let error = parse(text).unwrap_err();
        let problem = &error.problems[0];
        let at = problem.place.as_ref().unwrap();
        assert_eq!(format!("{}:{}", at.line, at.column), place, "{error}");
        assert!(problem.message.contains(message), "{error}");
        assert!(problem.remedy.contains(remedy), "{error}");
    }
}

#[test]
fn what_is_wrong_names_its_place_and_the_remedy() {
    for (text, key, place) in [
        ("[limits]\ndata = 100000", "limits.data", "2:1"),
        ("[limits]\nframe = 10", "limits.frame", "2:1"),
        ("[limits]\n\ndepth = 500", "limits.depth", "3:1"),
        ("[limits]\npong_timeout = \"0s\"", "limits.pong_timeout", "2:1"),
        ("[server]\norigins = [\"https://a/\"]", "server.origins", "2:1"),
        ("[server.tls]\ncertificate = \"schema.json\"", "server.tls", "1:9"),
        (
            "[server.tls]\ncertificate = \"x\"\nkey = \"schema.json\"",
            "server.tls.certificate",
            "2:1",
        ),
        ("[[auth.key]]\nalgorithm = \"HS256\"", "auth.key.0", "1:1"),
        ("[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"short\"", "auth.key.0.secret", "3:1"),
        (
            "[[auth.key]]\nalgorithm = \"HS256\"\nsecret_file = \"short\"",
            "auth.key.0.secret_file",
            "3:1",
        ),
        (
            "[[auth.key]]\nalgorithm = \"RS256\"\npublic_key_file = \"secret\"",
            "auth.key.0.public_key_file",
            "3:1",
        ),
        ("[[auth.key]]\njwks_file = \"schema.json\"", "auth.key.0.jwks_file", "2:1"),
        ("[namespace.Chat]", "namespace.Chat", "1:12"),
        ("[namespace.a]\nschema_file = \"bad.json\"", "namespace.a.schema_file", "2:1"),
        ("[namespace.a]\nschema_file = \"none.json\"", "namespace.a.schema_file", "2:1"),
        ("[namespace.a.history]\nttl = \"1ms\"", "namespace.a.history.ttl", "2:1"),
        (
            "[namespace.a]\nkind = \"document\"\n[namespace.a.history]\ndurable = false",
            "namespace.a.history.durable",
            "4:1",
        ),
        ("[namespace.a.document]\nsize = 1000", "namespace.a.document", "1:14"),
        (
            "[namespace.a]\npublish = \"anyone\"\n[auth]\nanonymous = true\n\
             [server]\nlisten = \"0.0.0.0:80\"",
            "namespace.a.publish",
            "2:1",
        ),
    ] {
        is_wrong(text, key, place);
    }
}

#[test]
fn what_is_wrong_with_others_that_are_asked_names_its_place() {
    for (text, key, place) in [
        ("[telemetry]\nendpoint = \"collector:4318\"", "telemetry.endpoint", "2:1"),
        ("[telemetry]\nsampling = 2.0", "telemetry.sampling", "2:1"),
        ("[telemetry]\nendpoint = \"https://a\"\nca_file = \"secret\"", "telemetry.ca_file", "3:1"),
        ("[[telemetry.header]]\nname = \"a\"", "telemetry.header.0", "1:1"),
        ("[[telemetry.header]]\nname = \"a b\"\nvalue = \"x\"", "telemetry.header.0", "1:1"),
        (
            "[[telemetry.header]]\nname = \"a\"\nvalue_file = \"none\"",
            "telemetry.header.0.value_file",
            "3:1",
        ),
        ("[server.tls.acme]\nretry = \"1m\"", "server.tls.acme.terms_agreed", "1:13"),
        (&format!("{ACME}domains = []"), "server.tls.acme.domains", "3:1"),
        (&format!("{ACME}domains = [\"*.example.com\"]"), "server.tls.acme.domains", "3:1"),
        (&format!("{ACME}domains = [\"192.0.2.1\"]"), "server.tls.acme.domains", "3:1"),
        (
            &format!("{ACME}domains = [\"a.b\"]\ncontact = [\"me\"]"),
            "server.tls.acme.contact",
            "4:1",
        ),
        (
            &format!("{ACME}domains = [\"a.b\"]\ndirectory = \"http://ca/\""),
            "server.tls.acme.directory",
            "4:1",
        ),
        (
            &format!("{ACME}domains = [\"a.b\"]\nca_file = \"secret\""),
            "server.tls.acme.ca_file",
            "4:1",
        ),
        (&format!("{ACME}domains = [\"a.b\"]\nretry = \"1ms\""), "server.tls.acme.retry", "4:1"),
        (
            &format!("[server]\ntls.self_signed = true\n{ACME}domains = [\"a.b\"]"),
            "server.tls",
            "2:1",
        ),
    ] {
        is_wrong(text, key, place);
    }
}

fn is_wrong(text: &str, key: &str, place: &str) {
    let error = check(text).unwrap_err();
    let problem = &error.problems[0];
    assert_eq!(problem.key, key, "{error}");
    let at = problem.place.as_ref().unwrap();
    assert_eq!(format!("{}:{}", at.line, at.column), place, "{error}");
    assert!(!problem.remedy.is_empty(), "{error}");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let error = check("[limits]\ndata = 100000\ndepth = 0").unwrap_err();
    assert_eq!(error.problems.len(), 2);
    assert!(error.to_string().starts_with("tidings.toml:2:1: limits.data: 100000 is not 1 to"));
}

#[test]
fn what_is_only_doubtful_is_allowed() {
    for (text, key) in [
        ("[server]\nlisten = \"0.0.0.0:80\"\n[auth]\nanonymous = true", "server.listen"),
        ("", "auth"),
        (
            &format!("[auth]\nanonymous = true\n{ACME}domains = [\"chat.example.com\"]"),
            "server.tls.acme",
        ),
        (
            "[auth]\nanonymous = true\n[server]\nlisten = \"[::]:80\"\ntls.self_signed = true\n\
             open = true\n[namespace.open]\npublish = \"anyone\"",
            "namespace.open.publish",
        ),
    ] {
        let warnings = check(text).unwrap();
        let keys: Vec<_> = warnings.iter().map(|warning| warning.key.as_str()).collect();
        assert_eq!(keys, [key], "{text}");
    }
}

#[test]
fn documents_are_stored_if_nothing_else_is_written() {
    for text in [
        "[namespace.a]\nkind = \"document\"",
        "[namespace.a]\nkind = \"document\"\n[namespace.a.history]\nread = \"signed-in\"",
        "[namespace]\na = { history = { durable = true }, kind = \"document\" }",
    ] {
        assert!(check(text).is_ok(), "{text}");
        assert!(parse(text).unwrap().namespace["a"].history.durable, "{text}");
    }
    let others = parse("[namespace.a]\n[namespace.b]\nkind = \"state\"").unwrap();
    assert!(others.namespace.values().all(|rules| !rules.history.durable));
}

#[test]
fn a_secret_is_never_shown() {
    let secret = "correct horse battery staple, and more";
    let text = format!("[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{secret}\"");
    let config = parse(&text).unwrap();
    for shown in [format!("{config:?}"), toml::to_string(&config).unwrap()] {
        assert!(!shown.contains("horse"), "{shown}");
    }
    for wrong in ["secret = 12345678", "secret = [\"12345678\"]", "secret = '12345678"] {
        let error = parse(&format!("[[auth.key]]\n{wrong}\n")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("12345678"), "{error}");
    }
}

#[test]
fn a_schema_is_compiled_into_the_policy() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.json"), r#"{"type":"object"}"#).unwrap();
    let config = parse("[auth]\nanonymous = true\n[namespace.a]\nschema_file = 'a.json'").unwrap();
    let policy = config.policy(dir.path()).unwrap();
    assert!(policy.anonymous);
    let schema = policy.namespaces["a"].schema.as_ref().unwrap();
    assert!(schema.check("{}").is_ok() && schema.check("1").is_err());
}
