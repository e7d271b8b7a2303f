//! Handles reports of a client about logins, endpoints, tabs and messages: updates the session, publishes events, and queues
//! rows for the store.

use super::Connection;
use crate::{
    bridge::{
        directory, endpoints,
        events::{FinalMessageReported, LoginReported, TabChanged},
        final_messages::ReceivedFinalMessage,
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
    pub(super) fn on_credentials(&mut self, mut reported: Credentials, now: WallMs, ctx: &mut Context<Self>) {
        let Some(registration) = self.established.as_ref().map(|established| &established.registration) else { return };
        let (client, connection_id) = (registration.client_id.clone(), registration.connection_id.clone());
        let tabs = std::mem::take(&mut reported.shell_runtime);
        let entry = self.session.record_credentials(reported, now);
        // A login for an unregistered platform is shown, but the directory does not select a client by it.
        if let Some(platform) = self.hub.registry().get(&entry.platform) {
            let login = directory::ReportedLogin {
                account: entry.account.as_deref(),
                fingerprint: entry.credential_fingerprint.as_deref(),
                last_seen_at: entry.last_seen_at,
                freshness: entry.freshness,
            };
            self.hub.directory().record_login((&client, &connection_id), &platform.name, login);
        }
        self.hub.events().publish("login_state", LoginReported::credentials(&client, &entry));
        self.hub.write_behind().login(LoginRow {
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
        self.update_tabs(tabs);
        self.schedule_snapshot("credentials", ctx);
    }

    pub(super) fn on_api_endpoints(&mut self, mut reported: ApiEndpoints, now: WallMs, ctx: &mut Context<Self>) {
        let Some(registration) = self.established.as_ref().map(|established| &established.registration) else { return };
        let (client, connection_id) = (registration.client_id.clone(), registration.connection_id.clone());
        let (tabs, accepted) = (std::mem::take(&mut reported.shell_runtime), reported.prompt_accepted);
        let entry = self.session.record_endpoints(reported, now);
        if let Some(platform) = self.hub.registry().get(&entry.platform) {
            let template = match (entry.prompt_template, accepted) {
                (false, _) => None,
                (true, false) => Some(directory::PromptTemplate::Learned),
                (true, true) => Some(directory::PromptTemplate::Accepted),
            };
            self.hub.directory().record_template((&client, &connection_id), &platform.name, template);
        }
        self.hub.events().publish("login_state", LoginReported::endpoints(&client, &entry));
        self.hub.write_behind().login(LoginRow {
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
        self.update_tabs(tabs);
        self.schedule_snapshot("api_endpoints", ctx);
    }

    pub(super) fn on_final_message(&mut self, reported: FinalMessage, now: WallMs, ctx: &mut Context<Self>) {
        let Some(client) = self.client_id() else { return };
        let kept = self.hub.settings().max_final_message_bytes;
        let entry = self.session.record_final_message(reported, now, kept);
        self.hub.events().publish("final_message", FinalMessageReported::of(&client, &entry));
        if let Some(raw_text) = entry.raw_text {
            let message = ReceivedFinalMessage {
                client_id: client.clone(),
                platform: entry.platform.clone(),
                conversation_id: entry.conversation_id.clone(),
                assistant_message_id: entry.assistant_message_id.clone(),
                has_verified_owner: self.has_verified_owner,
                raw_text: Arc::clone(&raw_text),
            };
            self.hub.final_messages().on_final_message(message);
            self.hub.write_behind().message(MessageRow {
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
        self.schedule_snapshot("browser.final_message", ctx);
    }

    /// Updates the session's tabs and publishes those that changed.
    pub(super) fn update_tabs(&mut self, reported: Vec<ShellRuntime>) {
        let Some(client_id) = self.client_id() else { return };
        for tab in self.session.record_tabs(reported) {
            self.hub.events().publish("shell_runtime", TabChanged { client_id: client_id.clone(), tab });
        }
    }

    fn client_id(&self) -> Option<ClientId> {
        self.established.as_ref().map(|established| established.registration.client_id.clone())
    }
}

fn login_key(client: &ClientId, platform: &str, account: Option<&str>) -> LoginKey {
    LoginKey { client_id: client.shared(), platform: platform.into(), account: account.map(Arc::from) }
}
