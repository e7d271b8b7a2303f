//! The one table of specific error codes of browser requests: `details.error_code`, and `error` of a `stream_error`.

macro_rules! request_error_codes {
    ($($code:ident $name:literal $meaning:literal;)*) => {
        /// Specific error code of a browser request. The extension may send others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RequestErrorCode {
            $(#[doc = $meaning] $code,)*
        }

        impl RequestErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: [RequestErrorCode; [$($name),*].len()] = [$(RequestErrorCode::$code),*];

            /// Returns the code as it is written.
            pub const fn name(self) -> &'static str {
                match self { $(RequestErrorCode::$code => $name,)* }
            }

            /// Returns what the code means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(RequestErrorCode::$code => $meaning,)* }
            }
        }
    };
}

request_error_codes! {
    NoActiveClient "no_active_client" "No Firefox is connected.";
    ClientNotFound "client_not_found" "The named client is not connected.";
    PairingRequired "pairing_required" "The named client waits for pairing.";
    CredentialsUnavailable "claude_credentials_unavailable" "The client has no login for this platform.";
    TemplateUnavailable "template_unavailable" "The extension has not learned yet how a prompt is sent to this platform.";
    InvalidRequest "invalid_request" "The address of a step is one of the platform's credential paths.";
    InvalidResponse "browser_upstream_invalid_response" "The app's answer to a step cannot be used.";
    NotFound "not_found" "The organization or conversation does not exist.";
    CircuitOpen "circuit_open" "The circuit of the client and platform is open after failures.";
    WaiterTimeout "waiter_timeout" "The request waited too long for its turn.";
    QueueFull "queue_full" "Too many requests wait for the client and platform, or too many pairs of them are in use.";
    Backoff "backoff" "The client and platform pause after a failure.";
    LeaseSwept "lease_swept" "The request showed no activity for too long.";
    ClientDisconnected "client_disconnected" "The connection of the client was lost.";
    ClientReplaced "client_replaced" "A newer connection of the same client replaced this one.";
    SendFailed "send_failed" "The request could not be sent to the client.";
    ServiceStopped "service_stopped" "The daemon is stopping.";
    RequestCancelled "request_cancelled" "The request was cancelled.";
    DownstreamDisconnected "downstream_disconnected" "The caller disconnected or stalled.";
    Unauthorized "unauthorized" "The token or the session of the caller has ended.";
    StreamBufferOverflow "stream_buffer_overflow" "The caller read too slowly.";
    RequestTimeout "request_timeout" "The browser did not answer in time.";
    StreamOpenTimeout "stream_open_timeout" "The browser did not open the stream in time.";
    StreamIdleTimeout "stream_idle_timeout" "The stream was silent for too long.";
    UpstreamError "browser_upstream_error" "The app answered with an error, or the extension could not reach it.";
    ResponseTooLarge "browser_response_too_large" "The answer is larger than the limit.";
    BridgeError "browser_bridge_error" "The extension's report is invalid.";
    InternalError "internal_error" "The daemon failed unexpectedly.";
}
