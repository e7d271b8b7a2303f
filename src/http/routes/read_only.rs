//! What the read-only listener serves: the description, the status, and the page with what it is made of, as far as the
//! main table has them. Whatever the path, only reading is a method here.

use super::*;
use crate::http::{
    endpoint::ApiCall,
    error::ApiError,
    reply::{self, ApiReply},
};
use actix_web::http::header;

/// Where the page is, and beneath it what it is made of.
const PAGE: &str = "/v1/status/ui";
const METHODS: &str = "GET, HEAD";
/// What a path that is not here is counted as.
const OTHER: &str = "other";

routes! {
    /// What this listener has of its own; all else is the main table's.
    static OWN;

    "service.status" GET "/v1/status" [Local, Read, Neither, Always]
        plain(), status::show_legacy, answers::<ServiceStatus>(), "Says how the daemon is, in numbers, in older spellings as well.";
    "page.older" GET "/ui" [Open, Read, Neither, Always] plain(), page,
        answers_status(302, "Leads to the status page."), "Leads to the status page.";
}

/// `GET /ui`.
async fn page(call: ApiCall) -> Result<ApiReply, ApiError> {
    let mut response = HttpResponse::Found();
    response.insert_header((header::LOCATION, PAGE)).insert_header((header::CACHE_CONTROL, "no-store"));
    reply::set_request_id(&mut response, &call.id);
    Ok(ApiReply::Raw(response.finish()))
}

/// The routes of the main table that stand here too.
fn is_shared(route: &Route) -> bool {
    let beneath = route.path.strip_prefix(PAGE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    route.method == "GET" && (route.path == "/describe" || beneath)
}

/// Puts these routes under the guard of the listener that `origin_policy` names.
pub(in crate::http) fn configure(
    config: &mut web::ServiceConfig,
    core: &Arc<ServerCore>,
    origin_policy: &Arc<OriginPolicy>,
) {
    let shared = core.features.served(ROUTES).into_iter().filter(|route| is_shared(route));
    let table: Vec<&'static Route> = shared.chain(OWN).collect();
    let refused = |known: Option<KnownPath>, request: &HttpRequest| match *request.method() {
        Method::GET | Method::HEAD => known,
        _ => Some(KnownPath { path: known.map_or(OTHER, |known| known.path), allow: METHODS }),
    };
    guarded(config, &table, core, origin_policy, refused);
}
