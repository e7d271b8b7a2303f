//! Stub.
#![expect(missing_docs, reason = "stub")]
use super::*;
use crate::{clock::WallMs, wire::Freshness};
use serde::Serialize;
#[derive(Clone, Debug)]
pub struct LoginKey {
    pub client_id: Arc<str>,
    pub platform: Arc<str>,
    pub account: Option<Arc<str>>,
}
#[derive(Clone, Debug)]
pub struct CredentialPart {
    pub credential_fingerprint: Option<String>,
    pub freshness: Freshness,
    pub header_count: i64,
    pub captured_at: WallMs,
    pub last_seen_at: WallMs,
}
#[derive(Clone, Debug)]
pub struct EndpointPart {
    pub credential_fingerprint: Option<String>,
    pub endpoints: Vec<EndpointRow>,
    pub updated_at: WallMs,
    pub prompt_template: bool,
}
#[derive(Clone, Debug, Serialize)]
pub struct EndpointRow {
    pub method: String,
    pub path: String,
    pub first_seen_at: WallMs,
    pub last_seen_at: WallMs,
}
#[derive(Clone, Debug)]
pub struct LoginRow {
    pub key: LoginKey,
    pub told_at: WallMs,
    pub credentials: Option<CredentialPart>,
    pub endpoints: Option<EndpointPart>,
}
#[derive(Clone, Debug)]
pub struct StoredLogin {
    pub client_id: String,
    pub platform: String,
    pub account: Option<String>,
    pub credential_fingerprint: Option<String>,
    pub freshness: Option<Freshness>,
    pub header_count: i64,
    pub captured_at: Option<WallMs>,
    pub last_seen_at: Option<WallMs>,
    pub updated_at: WallMs,
    pub prompt_template: bool,
    pub endpoints: Vec<EndpointRow>,
    pub revision: i64,
}
pub struct Filter {
    pub platform: Option<String>,
    pub account: Option<String>,
    pub client_id: Option<String>,
}
pub struct Counts {
    pub stale: i64,
    pub lost: i64,
}
pub fn of_clients(_: &mut SqliteConnection, _: &Filter, _: &[Arc<str>]) -> Result<Vec<StoredLogin>, StoreError> {
    Ok(vec![])
}
pub fn of_others(
    _: &mut SqliteConnection,
    _: &Filter,
    _: &[Arc<str>],
    _: WallMs,
    _: Option<bool>,
    _: Option<i64>,
    _: i64,
) -> Result<Vec<StoredLogin>, StoreError> {
    Ok(vec![])
}
pub fn count_others(_: &mut SqliteConnection, _: &Filter, _: &[Arc<str>], _: WallMs) -> Result<Counts, StoreError> {
    Ok(Counts { stale: 0, lost: 0 })
}
impl Store {
    pub async fn read<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.run(operation).await
    }
}
impl Later {
    pub fn login(&self, _: LoginRow) {}
    pub fn message(&self, _: super::messages::MessageRow) {}
}
