//! `GET /extension.xpi`: the Firefox extension with this daemon's address, as one file.

use super::{
    endpoint::ApiCall,
    error::{ApiError, Code},
    reply::{self, ApiReply},
};
use crate::extension::{Extension, XPI};
use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
};
use bytes::Bytes;

/// `GET /extension.xpi`.
pub(super) async fn xpi(call: ApiCall) -> Result<ApiReply, ApiError> {
    let bytes = match call.core.xpi.get() {
        Some(bytes) => bytes.clone(),
        None => {
            let extension = Extension::new(&call.core.bridge.identity().ws_url)
                .map_err(|error| ApiError::new(Code::InternalError, error.to_string()))?;
            call.core.xpi.get_or_init(|| Bytes::from(extension.xpi())).clone()
        }
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/x-xpinstall")))
        // As a download: Firefox refuses to install an unsigned file directly.
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{XPI}\"")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    reply::set_request_id(&mut response, &call.id);
    Ok(ApiReply::Raw(response.body(bytes)))
}
