//! The older routes under `/v1/browser/claude/`: each is a newer one with `claude` filled in, and says so in its
//! `deprecation` header.

use super::{actions, browser, endpoint::Call, error::ApiError, fields::Preset, reply::Reply};
use crate::{bridge::Done, wire::ActionKind};
use serde::Serialize;

const PLATFORM: &str = "claude";
/// The reason of a reload that gives none.
const RELOAD_REASON: &str = "browser_http_reload";

/// `POST /v1/browser/claude/open`: opens its tab, and tells where that leads.
pub(super) async fn open(call: Call) -> Result<Reply, ApiError> {
    #[derive(Serialize)]
    struct Opened<'a> {
        #[serde(flatten)]
        done: Done,
        open_url: &'a str,
    }
    let order = actions::order_for(&call, ActionKind::TabOpen, PLATFORM)?;
    let done = actions::perform(&call, order).await?;
    // An order for a platform that is not registered was refused above.
    let open_url = call.core.registry.get(PLATFORM).map_or("", |platform| platform.shell_url.as_str());
    Ok(call.success(&Opened { done, open_url }))
}

/// `POST /v1/browser/claude/reload`: loads its tab again.
pub(super) async fn reload(call: Call) -> Result<Reply, ApiError> {
    let mut order = actions::order_for(&call, ActionKind::TabReload, PLATFORM)?;
    order.reason.get_or_insert_with(|| RELOAD_REASON.to_owned());
    let done = actions::perform(&call, order).await?;
    Ok(call.success(&done))
}

/// `POST /v1/browser/claude/send`: a request to it, with `POST` as the method unless it names another.
pub(super) async fn send(call: Call) -> Result<Reply, ApiError> {
    browser::relay(call, Some(Preset { platform: PLATFORM, method: "POST" })).await
}
