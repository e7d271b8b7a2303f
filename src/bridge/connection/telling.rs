//! What a client tells about logins, tabs and messages: into its session, onto the bus, and behind into the store.

use super::Connection;
use crate::{
    bridge::{
        directory, endpoints,
        events::{LoginTold, MessageSeen, TabChanged},
        hub::Presence,
        messages::Seen,
    },
    clock::WallMs,
    ids::ClientId,
    store::{
        logins::{CredentialPart, EndpointPart, LoginKey, LoginRow},
        messages::MessageRow,
    },
    wire::{ApiEndpoints, Credentials, FinalMessage, ShellRuntime},
};
use actix::prelude::*;
use std::sync::Arc;

impl Connection {
    pub(super) fn saw_login(&mut self, mut told: Credentials, now: WallMs, ctx: &mut Context<Self>) {
        let Some(Presence { client_id: client, connection_id, .. }) = self.greeted.as_ref().map(|g| &g.presence) else {
            return;
        };
        let (client, connection_id) = (client.clone(), connection_id.clone());
        let tabs = std::mem::take(&mut told.shell_runtime);
        let entry = self.session.credentials(told, now);
        // A login for something that is not registered is shown, but no request can go there.
        if let Some(platform) = self.hub.registry().get(&entry.platform) {
            let login = directory::LoginTold {
                account: entry.account.as_deref(),
                fingerprint: entry.credential_fingerprint.as_deref(),
                last_seen_at: entry.last_seen_at,
                freshness: entry.freshness,
            };
            self.hub.directory().login((&client, &connection_id), &platform.name, login);
        }
        self.hub.events().publish("login_state", LoginTold::credentials(&client, &entry));
        self.hub.later().login(LoginRow {
            key: login_key(&client, &entry.platform, entry.account.as_deref()),
            told_at: now,
            credentials: Some(CredentialPart {
                credential_fingerprint: entry.credential_fingerprint,
                freshness: entry.freshness,
                header_count: i64::try_from(entry.header_count).unwrap_or(i64::MAX),
                captured_at: entry.captured_at,
                last_seen_at: entry.last_seen_at,
            }),
            endpoints: None,
        });
        self.show_tabs(tabs);
        self.changed("credentials", ctx);
    }

    pub(super) fn saw_endpoints(&mut self, mut told: ApiEndpoints, now: WallMs, ctx: &mut Context<Self>) {
        let Some(Presence { client_id: client, connection_id, .. }) = self.greeted.as_ref().map(|g| &g.presence) else {
            return;
        };
        let (client, connection_id) = (client.clone(), connection_id.clone());
        let (tabs, accepted) = (std::mem::take(&mut told.shell_runtime), told.prompt_accepted);
        let entry = self.session.api_endpoints(told, now);
        if let Some(platform) = self.hub.registry().get(&entry.platform) {
            let template = match (entry.prompt_template, accepted) {
                (false, _) => None,
                (true, false) => Some(directory::Template::Learned),
                (true, true) => Some(directory::Template::Accepted),
            };
            self.hub.directory().template((&client, &connection_id), &platform.name, template);
        }
        self.hub.events().publish("login_state", LoginTold::endpoints(&client, &entry));
        self.hub.later().login(LoginRow {
            key: login_key(&client, &entry.platform, entry.account.as_deref()),
            told_at: now,
            credentials: None,
            endpoints: Some(EndpointPart {
                endpoints: endpoints::rows(&entry, now),
                credential_fingerprint: entry.credential_fingerprint,
                updated_at: entry.updated_at,
                prompt_template: entry.prompt_template,
            }),
        });
        self.show_tabs(tabs);
        self.changed("api_endpoints", ctx);
    }

    pub(super) fn saw_message(&mut self, told: FinalMessage, now: WallMs, ctx: &mut Context<Self>) {
        let Some(client) = self.client() else { return };
        let kept = self.hub.settings().max_final_message_bytes;
        let entry = self.session.final_message(told, now, kept);
        self.hub.events().publish("final_message", MessageSeen::of(&client, &entry));
        if let Some(raw_text) = entry.raw_text {
            let seen = Seen {
                client_id: client.clone(),
                platform: entry.platform.clone(),
                conversation_id: entry.conversation_id.clone(),
                assistant_message_id: entry.assistant_message_id.clone(),
                is_vouched_for: self.is_vouched_for,
                raw_text: Arc::clone(&raw_text),
            };
            self.hub.final_messages().seen(seen);
            self.hub.later().message(MessageRow {
                client_id: client.shared(),
                platform: entry.platform,
                conversation_id: entry.conversation_id,
                assistant_message_id: entry.assistant_message_id,
                raw_text,
                raw_length: i64::try_from(entry.raw_length).unwrap_or(i64::MAX),
                digest: entry.digest,
                observed_at: entry.observed_at,
                received_at: now,
            });
        }
        self.changed("browser.final_message", ctx);
    }

    /// Takes tabs over as they were reported.
    pub(super) fn show_tabs(&mut self, told: Vec<ShellRuntime>) {
        let Some(client_id) = self.client() else { return };
        for tab in self.session.tabs(told) {
            self.hub.events().publish("shell_runtime", TabChanged { client_id: client_id.clone(), tab });
        }
    }

    fn client(&self) -> Option<ClientId> {
        self.greeted.as_ref().map(|greeted| greeted.presence.client_id.clone())
    }
}

fn login_key(client: &ClientId, platform: &str, account: Option<&str>) -> LoginKey {
    LoginKey { client_id: client.shared(), platform: platform.into(), account: account.map(Arc::from) }
}
