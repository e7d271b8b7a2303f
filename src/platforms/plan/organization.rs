//! Claude's organizations, and which of them a request is for.

use super::{
    AppId, PlanError, UnusableAnswer,
    list_entries::{self, MarkFields, list},
};
use crate::{platforms::json, wire::JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const LISTS: &[&str] = &["organizations", "items", "entries", "data"];
const MARKS: MarkFields = &["is_default", "default", "selected", "active"];

/// An organization of the login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Organization {
    /// Id of the organization.
    pub organization_id: AppId,
    /// Name.
    pub name: Option<String>,
}

impl Organization {
    /// Reads an entry; `None` without a usable id.
    fn read(entry: &JsonObject<'_>) -> Option<Self> {
        let organization_id = list_entries::id(entry, &["uuid", "id", "organization_uuid", "organizationId"])?;
        Some(Organization { organization_id, name: list_entries::words(entry, &["name", "display_name", "slug"]) })
    }
}

/// Returns the requested organization; without a request the marked one, else the first.
pub(super) fn choose(body: &str, asked: Option<&AppId>) -> Result<Organization, PlanError> {
    let list = list(body, LISTS).ok_or(UnusableAnswer::NoOrganizations)?;
    let (mut first, mut marked, mut named) = (None, None, None);
    json::each(list, |entry| {
        let Some(entry) = json::object(entry) else { return Ok(()) };
        let Some(organization) = Organization::read(&entry) else { return Ok(()) };
        if asked == Some(&organization.organization_id) {
            named.get_or_insert(organization);
        } else if list_entries::is_marked(&entry, MARKS) {
            marked.get_or_insert(organization);
        } else {
            first.get_or_insert(organization);
        }
        Ok(())
    })
    .map_err(|json::NotAnArray| UnusableAnswer::NoOrganizations)?;
    match asked {
        Some(_) => named.ok_or(PlanError::OrganizationNotFound),
        None => marked.or(first).ok_or(UnusableAnswer::NoOrganization.into()),
    }
}
