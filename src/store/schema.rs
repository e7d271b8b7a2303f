//! The tables as diesel sees them; the truth lies in `migrations/`.

use diesel::table;

table! {
    browser_requests (id) {
        id -> BigInt,
        request_id -> Text,
        platform -> Text,
        client_id -> Nullable<Text>,
        method -> Text,
        path -> Text,
        request_mode -> Text,
        response_mode -> Text,
        phase -> Text,
        outcome -> Nullable<Text>,
        error_code -> Nullable<Text>,
        status -> Nullable<Integer>,
        requested_at -> BigInt,
        admitted_at -> Nullable<BigInt>,
        first_byte_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        queue_delay_ms -> BigInt,
        backoff_delay_ms -> BigInt,
        rate_limit_delay_ms -> BigInt,
        jitter_delay_ms -> BigInt,
        event_count -> BigInt,
        bytes -> BigInt,
    }
}
