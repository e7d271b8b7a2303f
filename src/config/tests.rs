//! Layers, errors and origins, and the sample file as a configuration.

mod generated;

use super::*;
use std::path::PathBuf;

const FILE: &str = "/etc/x/conductor.toml";
const SAMPLE: &str = include_str!("../../config/conductor.toml");

fn sources(file: &str, environment: &[(&str, &str)]) -> ConfigSources {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ConfigSources { files: vec![(PathBuf::from(FILE), file.to_owned())], environment, ..ConfigSources::default() }
}

fn loaded(file: &str, environment: &[(&str, &str)]) -> LoadedConfig {
    load(&sources(file, environment)).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn errors(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    load(&sources(file, environment)).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn without_sources_the_defaults_apply_with_the_host_name() {
    let loaded = load(&ConfigSources { host_name: "box".into(), ..ConfigSources::default() }).unwrap();
    let mut expected = Config::default();
    expected.node.named("box");
    assert_eq!((loaded.config, loaded.origins), (expected, ValueOrigins::default()));
}

#[test]
fn later_layers_take_precedence() {
    let mut all = sources("[policy.circuit_breaker]\nfailure_threshold = 7\n[log]\nfilter = \"warn\"", &[]);
    all.files.push(("/second.toml".into(), "[policy.circuit_breaker]\nfailure_threshold = 8\nopen_ms = 1".into()));
    let threshold = |sources: &ConfigSources| {
        let loaded = load(sources).unwrap();
        let origin = loaded.origins.of("policy.circuit_breaker.failure_threshold").to_string();
        (loaded.config.policy.circuit_breaker.failure_threshold, origin)
    };
    assert_eq!(threshold(&all), (8, "/second.toml".into()));
    all.environment = vec![("BAA_POLICY__CIRCUIT_BREAKER__FAILURE_THRESHOLD".into(), "9".into())];
    assert_eq!(threshold(&all), (9, "environment variable BAA_POLICY__CIRCUIT_BREAKER__FAILURE_THRESHOLD".into()));
    all.environment.push(("BAA_LOG__FILTER".into(), "error".into()));
    all.options.log = Some("debug".into());
    let loaded = load(&all).unwrap();
    assert_eq!(loaded.config.log.filter, "debug");
    assert_eq!(loaded.origins.of("log.filter"), &ValueOrigin::Option("--log"));
}

#[test]
fn every_error_is_one_line_with_source_key_and_reason() {
    let found = errors(
        "nonsense = 1\nempty = {}\n[server]\nlisten = 5\nlitsen = \"x\"\n[policy.jitter]\nmin_ms = 500\nmax_ms = 100\n\
         [bridge]\npairing = \"maybe\"\nheartbeat_ms = -1\n[platforms.wiki]\nprompt = \"magic\"\nurl = \"x\"\n\
         [policy.platform.nope.jitter]\nmin_ms = 1\n[auth]\ntoken = 12345\n[node]\nrole.deep = 1",
        &[],
    );
    for (key, reason) in [
        ("nonsense", "unknown key \"nonsense\""),
        ("empty", "unknown key \"empty\""),
        ("server.listen", "must be a text"),
        ("server.litsen", "unknown key \"litsen\"; did you mean \"listen\"?"),
        ("policy.jitter.min_ms", "must not be more than jitter.max_ms"),
        ("bridge.pairing", "unknown variant `maybe`, expected `required` or `off`"),
        ("bridge.heartbeat_ms", "invalid value: integer `-1`, expected a whole number of 0 or more"),
        ("platforms.wiki.prompt", "unknown variant `magic`"),
        ("platforms.wiki.url", "unknown key \"url\""),
        ("policy.platform.nope", "is not a registered platform"),
        ("auth.token", "must be a text"),
        ("node.role", "must be a text"),
    ] {
        let line = format!("{FILE}: {key}: {reason}");
        assert!(found.iter().any(|fault| fault.starts_with(&line)), "{line}\n{found:#?}");
    }
    assert!(found.iter().all(|fault| !fault.contains('\n') && !fault.contains("12345")), "{found:#?}");
}

#[test]
fn a_conflict_is_reported_for_the_value_that_is_not_a_default() {
    let blamed =
        |environment: &[(&str, &str)]| errors("policy.backoff.base_ms = 2\npolicy.jitter.mu_ms = 1", environment);
    for (name, value, key) in [
        ("BAA_POLICY__JITTER__MAX_MS", "10", "policy.jitter.min_ms"),
        ("BAA_POLICY__WAITER__TIMEOUT_MS", "10", "policy.jitter.min_ms"),
        ("BAA_LOGIN_STATE__STALE_AFTER_MS", "9000000", "login_state.lost_after_ms"),
    ] {
        let found = blamed(&[(name, value)]);
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("environment variable {name}: {key}: ")),
            "{found:?}"
        );
    }
}

#[test]
fn a_section_that_is_not_a_table_is_an_error() {
    assert_eq!(errors("server = 5", &[]), [format!("{FILE}: server: must be a table")]);
    assert_eq!(errors("platforms.claude = 5", &[]), [format!("{FILE}: platforms.claude: must be a table")]);
}

#[test]
fn an_error_of_invalid_toml_has_file_and_line_number_without_the_text() {
    let found = errors("[auth]\ntoken = \"hush\" x", &[]);
    assert!(
        found.len() == 1 && found[0].starts_with(&format!("{FILE}: line 2: ")) && !found[0].contains("hush"),
        "{found:?}"
    );
}

#[test]
fn variables_are_read_by_the_type_of_their_key() {
    let config = loaded(
        "",
        &[
            ("BAA_BRIDGE__HEARTBEAT_MS", " 5000 "),
            ("BAA_SERVER__ALLOW_REMOTE", "true"),
            ("BAA_SERVER__ALLOWED_HOSTS", "box.lan, other.lan:99"),
            ("BAA_HOST_OPS__ENV_ALLOW", "[\"A\", \"B\"]"),
            ("BAA_INSTRUCTIONS__ALLOW", "[{ platform = \"claude\" }]"),
            ("BAA_PLATFORMS__WIKI__SHELL_URL", "https://wiki.example/"),
            ("BAA_POLICY__PLATFORM__WIKI__JITTER__MIN_MS", "3"),
            ("BAA_NODE__ID", "x"),
            ("BAA_SOMETHING", "ignored"),
            ("OTHER__X", "ignored"),
        ],
    )
    .config;
    assert_eq!(config.bridge.heartbeat_ms, 5_000);
    assert!(config.server.allow_remote);
    assert_eq!(config.server.allowed_hosts, ["box.lan", "other.lan:99"]);
    assert_eq!(config.host_ops.env_allow, ["A", "B"]);
    assert_eq!(config.instructions.allow[0].platform, "claude");
    assert_eq!(config.registry().get("wiki").unwrap().title, "wiki");
    assert_eq!(config.policy.for_platform("wiki").jitter.min_ms, 3);
    assert_eq!(config.node.id, "x");
}

#[test]
fn an_error_of_a_variable_has_its_name() {
    for (name, value) in [
        ("BAA_POLICY__NOPE", "1"),
        ("BAA_NOPE__X", "1"),
        ("BAA_SERVER__", "1"),
        ("BAA_POLICY__JITTER", "1"),
        ("BAA_BRIDGE__HEARTBEAT_MS", "soon"),
        ("BAA_BRIDGE__HEARTBEAT_MS", "0"),
        ("BAA_SERVER__ALLOW_REMOTE", "yes"),
        ("BAA_SERVER__ALLOWED_HOSTS", "[broken"),
        ("BAA_CONDUCTOR_LOCAL_API", "127.0.0.1:4317"),
        ("BAA_CODEXD_LOCAL_API_BASE", "nonsense"),
        ("BAA_SHARED_TOKEN", "two words"),
    ] {
        let found = errors("", &[(name, value)]);
        assert!(found.len() == 1 && found[0].starts_with(&format!("environment variable {name}: ")), "{found:?}");
        assert!(!found[0].contains("two words"));
    }
}

#[test]
fn legacy_variables_set_values_that_plain_variables_override() {
    let listen = |environment: &[(&str, &str)]| loaded("", environment).config.server.listen;
    assert_eq!(listen(&[("BAA_CONDUCTOR_LOCAL_API", "http://127.0.0.1:4999/")]), "127.0.0.1:4999");
    assert_eq!(listen(&[("BAA_CONDUCTOR_LOCAL_API", "http://localhost:4999")]), "localhost:4999");
    assert_eq!(listen(&[("BAA_CONDUCTOR_LOCAL_API", "http://[::1]:4999")]), "[::1]:4999");
    assert_eq!(listen(&[("BAA_CONDUCTOR_LOCAL_API", "")]), "127.0.0.1:4317");
    let both = [("BAA_SERVER__LISTEN", "127.0.0.1:1"), ("BAA_CONDUCTOR_LOCAL_API", "http://127.0.0.1:2")];
    assert_eq!(listen(&both), "127.0.0.1:1");
    let config = loaded(
        "",
        &[("BAA_SHARED_TOKEN", "abc-0123456789abcdef"), ("BAA_CODEXD_LOCAL_API_BASE", "http://127.0.0.1:4319")],
    )
    .config;
    assert_eq!(config.auth.token.unwrap().expose(), "abc-0123456789abcdef");
    assert_eq!(config.codex.base_url.as_deref(), Some("http://127.0.0.1:4319"));
}

#[test]
fn an_error_of_an_inherited_address_explains_the_variable() {
    for inherited in ["http://100.71.210.78:4317", "http://conductor.lan:4317"] {
        let found = errors("", &[("BAA_CONDUCTOR_LOCAL_API", inherited)]);
        assert_eq!(found.len(), 1, "{found:?}");
        for word in
            ["BAA_CONDUCTOR_LOCAL_API", "server.listen", "inherited", "server.allow_remote", "server.allowed_hosts"]
        {
            assert!(found[0].contains(word), "{word}: {found:?}");
        }
    }
    let mut overruled = sources("", &[("BAA_CONDUCTOR_LOCAL_API", "http://100.71.210.78:4317")]);
    overruled.options.listen = Some("127.0.0.1:0".into());
    assert!(load(&overruled).is_ok(), "an overridden value is not checked");
}

#[test]
fn a_remote_listener_implies_no_local_trust() {
    let mut remote = sources("[server]\nallow_remote = true\n[auth]\nlocal_trust = \"loopback\"", &[]);
    assert_eq!(load(&remote).unwrap().config.auth.local_trust, LocalTrust::Loopback);
    remote.options.listen = Some("0.0.0.0:0".into());
    let loaded = load(&remote).unwrap();
    assert_eq!(loaded.config.auth.local_trust, LocalTrust::None);
    assert_eq!(loaded.origins.of("auth.local_trust"), &ValueOrigin::Implied("server.listen and server.status_listen"));
}

#[test]
fn allowed_hosts_imply_no_local_trust_unless_it_is_set_explicitly() {
    let named = "server.allowed_hosts = [\"box.lan\"]";
    let by_default = loaded(named, &[]);
    assert_eq!(by_default.config.auth.local_trust, LocalTrust::None);
    assert_eq!(by_default.origins.of("auth.local_trust"), &ValueOrigin::Implied("server.allowed_hosts"));
    assert_eq!(by_default.config.local_trust_warning(), None);
    for (written, trust) in [("same_user", LocalTrust::SameUser), ("loopback", LocalTrust::Loopback)] {
        for (text, variables) in [
            (format!("{named}\nauth.local_trust = \"{written}\""), vec![]),
            (named.to_owned(), vec![("BAA_AUTH__LOCAL_TRUST", written)]),
        ] {
            let config = loaded(&text, &variables).config;
            assert_eq!(config.auth.local_trust, trust);
            let doubt = config.local_trust_warning().unwrap();
            assert!(doubt.contains(written) && doubt.contains("server.allowed_hosts"), "{doubt}");
        }
    }
    let none = loaded(&format!("{named}\nauth.local_trust = \"none\""), &[]);
    assert_eq!((none.config.auth.local_trust, none.config.local_trust_warning()), (LocalTrust::None, None));
    let plain = loaded("", &[]);
    assert_eq!((plain.config.auth.local_trust, plain.config.local_trust_warning()), (LocalTrust::SameUser, None));
    let emptied = loaded("server.allowed_hosts = []", &[]).config;
    assert_eq!(emptied.auth.local_trust, LocalTrust::SameUser);
}

#[test]
fn a_later_token_overrides_an_earlier_token_file() {
    let config = loaded("auth.token_file = \"/t\"", &[("BAA_SHARED_TOKEN", "abc-0123456789abcdef")]).config;
    assert!(config.auth.token.is_some() && config.auth.token_file.is_none());
    let config = loaded("auth.token = \"abc-0123456789abcdef\"", &[("BAA_AUTH__TOKEN_FILE", "/t")]).config;
    assert!(config.auth.token.is_none() && config.auth.token_file.is_some());
    assert_eq!(errors("auth.token = \"abc-0123456789abcdef\"\nauth.token_file = \"/t\"", &[]).len(), 1);
}

#[test]
fn single_keys_of_a_built_in_platform_can_be_overridden() {
    let config = loaded("platforms.gemini.title = \"My Gemini\"", &[]).config;
    let registry = config.registry();
    let gemini = registry.get("gemini").unwrap();
    assert_eq!((gemini.title.as_str(), gemini.shell_url.as_str()), ("My Gemini", "https://gemini.google.com/"));
}

#[test]
fn explain_shows_every_value_with_its_origin_and_no_secret() {
    let loaded = loaded("auth.token = \"hush-hush-hush-hush\"", &[("BAA_POLICY__WAITER__TIMEOUT_MS", "4321")]);
    let text = explain::text(&loaded.config, &loaded.origins);
    for line in [
        "policy.waiter.timeout_ms = 4321  # environment variable BAA_POLICY__WAITER__TIMEOUT_MS",
        "policy.circuit_breaker.failure_threshold = 5  # default",
        "auth.token = \"********\"  # /etc/x/conductor.toml",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let json = explain::json(&loaded.config, &loaded.origins);
    assert_eq!(json["policy.waiter.timeout_ms"]["value"], 4321);
    assert_eq!(json["policy.waiter.timeout_ms"]["source"], "BAA_POLICY__WAITER__TIMEOUT_MS");
    assert!(!text.contains("hush") && !json.to_string().contains("hush") && !format!("{loaded:?}").contains("hush"));
    assert!(text.parse::<toml::Table>().is_ok(), "it could be a configuration file");
    let sections = toml::Table::try_from(Config::default()).unwrap();
    assert!(
        sections.keys().all(|name| explain::SECTIONS.contains(&name.as_str()))
            && sections.len() == explain::SECTIONS.len()
    );
}

/// Returns the sample file with all settings: a setting follows its `#` directly, an explanation after a space.
fn uncommented() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    SAMPLE.lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_file_sets_nothing_until_it_is_uncommented() {
    assert!(SAMPLE.parse::<toml::Table>().unwrap().is_empty());
}

#[test]
fn the_sample_files_custom_platform_is_valid() {
    let own: Vec<_> = SAMPLE.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    let config = loaded(&own.join("\n"), &[]).config;
    let notes = config.registry().get("notes").cloned().expect("it is registered");
    assert_eq!((&*notes.title, notes.owns("notes.example")), ("Notes", true));
    // Every key is shown.
    let shown = toml::Table::try_from(&config.platforms.0["notes"]).unwrap();
    assert!(shown.keys().all(|key| own.iter().any(|line| line.starts_with(key.as_str()))), "{shown:?}");
}

#[test]
fn the_sample_file_uncommented_has_every_default() {
    let read = loaded(&uncommented(), &[]).config;
    assert_eq!(read.files, [PathBuf::from(FILE)]);
    assert_eq!(Config { files: Vec::new(), ..read }, Config::default());
    let sample: toml::Table = uncommented().parse().unwrap();
    for (key, value) in explain::leaves(&Config::default()) {
        let found = key.split('.').try_fold(&toml::Value::Table(sample.clone()), |at, part| at.get(part)).cloned();
        assert_eq!(found, Some(value), "{key}");
    }
}
