//! `config/conductor.toml` and the tables of `docs/configuration.md`, generated from the declarations of the settings.
//! `BAA_UPDATE_DOCS=1 cargo nextest run --lib generated` renews them.

use crate::{
    bridge::settings::BridgeSettings,
    codex::settings::CodexSettings,
    config::{
        Config,
        explain::SECTIONS,
        section::{BYTES_MAX, COUNT_MAX, MS_MAX, SectionDescription, SettingDescription, SettingsSection},
    },
    host::settings::HostOpsSettings,
    http::settings::{AuthSettings, ServerSettings},
    instructions::settings::InstructionSettings,
    platforms::registry::PlatformSettings,
    policy::settings::{
        Backoff, CircuitBreaker, Concurrency, Jitter, PolicySettings, RateLimit, StaleLease, Stream, Waiter,
    },
    store::settings::{LoginStateSettings, StoreSettings},
    system::settings::NodeSettings,
    telemetry::settings::LogSettings,
    testing::generated::{hold, with_parts},
};
use std::fmt::Write;
use toml::{Table, Value};

const HEAD: &str = r#"# baa-conductor: every setting with its default. Generated; do not edit by hand.
#
# Copy what you change to $XDG_CONFIG_HOME/baa-conductor/conductor.toml (usually ~/.config/baa-conductor/conductor.toml)
# or name the file with --config, and remove the `#` in front of it. Each setting can also come from the environment:
# BAA_BRIDGE__HEARTBEAT_MS=5000 is bridge.heartbeat_ms. `baa-conductor config` prints the values in force and their
# origin. An empty text means "not set". Advanced settings rarely need a change.
"#;

const OWN_PLATFORM: &str = r#"
# A platform of your own needs a name and a shell_url; single keys of the built-in ones can be changed. With prompt =
# "template" it takes prompts once the extension has learned from a message of yours how they are sent:
#
#   [platforms.notes]
#   title = "Notes"
#   shell_url = "https://notes.example/app"
#   hosts = ["notes.example", "*.notes.example"]
#   modes = ["buffered", "sse"]
#   final_message = ""
#   answer_hosts = []
#   credential_paths = []
#   prompt = "template"
"#;

/// Columns of a line of the file.
const WIDTH: usize = 120;

/// A section of the configuration with its defaults.
struct Section {
    key: &'static str,
    description: SectionDescription,
    defaults: Table,
}

impl Section {
    fn of<T: SettingsSection + Default + serde::Serialize>(key: &'static str) -> Self {
        Section { key, description: T::description(), defaults: Table::try_from(T::default()).unwrap() }
    }

    /// Returns the settings that have a value of their own, with their defaults.
    fn settings(&self, is_advanced: bool) -> impl Iterator<Item = (&SettingDescription, &Value)> {
        let chosen = self.description.settings.iter().filter(move |setting| setting.is_advanced == is_advanced);
        let valued = chosen.filter_map(|setting| Some((setting, self.defaults.get(setting.name)?)));
        valued.filter(|(_, value)| !value.is_table())
    }

    fn is_in(&self, top: &str) -> bool {
        self.key.split('.').next() == Some(top)
    }

    /// Writes the rows of a table for Markdown.
    fn rows(&self, is_advanced: bool, table: &mut String) {
        for (setting, value) in self.settings(is_advanced) {
            let bounds = bounds(setting).unwrap_or_default();
            let text = setting.text.concat().trim().replace('|', "\\|");
            let _ = writeln!(table, "| `{}.{}` | `{value}` | {bounds} | {text} |", self.key, setting.name);
        }
    }

    /// Writes the settings for the sample file, with the values of `values`.
    fn sample(&self, key: &str, values: &Table, is_described: bool, file: &mut String) {
        file.push('\n');
        if is_described {
            comment(&self.description.text.concat(), file);
        }
        let _ = writeln!(file, "#[{key}]");
        for is_advanced in [false, true] {
            for (at, (setting, _)) in self.settings(is_advanced).enumerate() {
                if is_advanced && at == 0 {
                    comment("Advanced:", file);
                }
                if is_described {
                    let bounds = bounds(setting).filter(|bounds| !matches!(&**bounds, "0 or more" | "1 or more"));
                    let bounds = bounds.map_or_else(String::new, |bounds| format!(" ({bounds})"));
                    comment(&format!("{}{bounds}", setting.text.concat()), file);
                }
                let _ = writeln!(file, "#{} = {}", setting.name, values[setting.name]);
            }
        }
    }
}

/// Returns every section in the order of the sample file.
fn sections() -> Vec<Section> {
    vec![
        Section::of::<ServerSettings>("server"),
        Section::of::<AuthSettings>("auth"),
        Section::of::<StoreSettings>("store"),
        Section::of::<BridgeSettings>("bridge"),
        Section::of::<LoginStateSettings>("login_state"),
        Section::of::<PolicySettings>("policy"),
        Section::of::<Backoff>("policy.backoff"),
        Section::of::<CircuitBreaker>("policy.circuit_breaker"),
        Section::of::<Concurrency>("policy.concurrency"),
        Section::of::<Jitter>("policy.jitter"),
        Section::of::<RateLimit>("policy.rate_limit"),
        Section::of::<StaleLease>("policy.stale_lease"),
        Section::of::<Stream>("policy.stream"),
        Section::of::<Waiter>("policy.waiter"),
        Section::of::<PlatformSettings>("platforms.NAME"),
        Section::of::<InstructionSettings>("instructions"),
        Section::of::<HostOpsSettings>("host_ops"),
        Section::of::<CodexSettings>("codex"),
        Section::of::<LogSettings>("log"),
        Section::of::<NodeSettings>("node"),
    ]
}

/// Returns the bounds of a number; an upper one that is only technical is left out.
fn bounds(setting: &SettingDescription) -> Option<String> {
    let bounds = setting.bounds.as_ref()?;
    Some(match (bounds.start(), bounds.end()) {
        (least, &(MS_MAX | BYTES_MAX | COUNT_MAX)) => format!("{least} or more"),
        (least, most) => format!("{least} to {most}"),
    })
}

/// Writes a comment, wrapped.
fn comment(text: &str, file: &mut String) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace().map(|word| word.replace('`', "")) {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(file, "{line}");
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(&word);
    }
    let _ = writeln!(file, "{line}");
}

fn sample() -> String {
    let mut file = HEAD.to_owned();
    let platforms = Table::try_from(Config::default().platforms).unwrap();
    for section in sections() {
        if section.key != "platforms.NAME" {
            section.sample(section.key, &section.defaults, true, &mut file);
            continue;
        }
        file.push_str(OWN_PLATFORM);
        for (at, (name, values)) in platforms.iter().enumerate() {
            section.sample(&format!("platforms.{name}"), values.as_table().unwrap(), at == 0, &mut file);
        }
    }
    file
}

#[test]
fn the_generated_sample_file_is_what_the_settings_say() {
    hold("config/conductor.toml", |_| sample());
}

#[test]
fn the_generated_tables_of_the_settings_are_what_the_settings_say() {
    let mut shown = Vec::new();
    hold("docs/configuration.md", |page| {
        with_parts(page, |name| {
            let mut table = "| setting | default | bounds | meaning |\n| --- | --- | --- | --- |\n".to_owned();
            let is_advanced = name == "advanced";
            for top in if is_advanced { SECTIONS.to_vec() } else { name.split(' ').collect() } {
                sections().iter().filter(|one| one.is_in(top)).for_each(|one| one.rows(is_advanced, &mut table));
                shown.push((is_advanced, top.to_owned()));
            }
            table
        })
    });
    shown.sort();
    let mut every: Vec<_> = SECTIONS.iter().flat_map(|top| [false, true].map(|one| (one, (*top).to_owned()))).collect();
    every.sort();
    assert_eq!(shown, every, "docs/configuration.md shows each section once, and its advanced settings");
}

#[test]
fn the_generated_sample_file_has_every_section_and_every_description_is_a_sentence() {
    for section in sections() {
        assert!(SECTIONS.iter().any(|top| section.is_in(top)), "{}", section.key);
        for setting in &section.description.settings {
            assert!(setting.text.concat().ends_with('.'), "{}.{}", section.key, setting.name);
        }
    }
    assert!(SECTIONS.iter().all(|top| sections().iter().any(|section| section.is_in(top))));
}
