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

table! {
    system (id) {
        id -> Integer,
        mode -> Text,
        changed_at -> BigInt,
        reason -> Nullable<Text>,
    }
}

table! {
    tasks (id) {
        id -> BigInt,
        task_id -> Text,
        kind -> Text,
        status -> Text,
        title -> Text,
        created_at -> BigInt,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        platform -> Nullable<Text>,
        conversation_id -> Nullable<Text>,
        assistant_message_id -> Nullable<Text>,
        client_id -> Nullable<Text>,
        caller -> Nullable<Text>,
        run_count -> BigInt,
    }
}

table! {
    runs (id) {
        id -> BigInt,
        run_id -> Text,
        task_id -> Text,
        position -> BigInt,
        status -> Text,
        tool -> Text,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        result -> Nullable<Text>,
    }
}

table! {
    task_logs (id) {
        id -> BigInt,
        log_id -> Text,
        task_id -> Text,
        run_id -> Nullable<Text>,
        at -> BigInt,
        level -> Text,
        event -> Text,
        message -> Text,
        hash -> Text,
        previous_hash -> Nullable<Text>,
    }
}

table! {
    audit_chain (id) {
        id -> Integer,
        anchor_number -> BigInt,
        anchor_hash -> Nullable<Text>,
        head_number -> BigInt,
        head_hash -> Nullable<Text>,
    }
}

table! {
    store_identity (id) {
        id -> Integer,
        store_id -> Text,
    }
}

table! {
    dedupe_keys (dedupe_key) {
        dedupe_key -> Text,
        batch_id -> Text,
        reserved_at -> BigInt,
    }
}

table! {
    instruction_batches (id) {
        id -> BigInt,
        batch_id -> Text,
        task_id -> Nullable<Text>,
        status -> Text,
        origin -> Text,
        platform -> Text,
        conversation_id -> Nullable<Text>,
        assistant_message_id -> Text,
        client_id -> Nullable<Text>,
        created_at -> BigInt,
        finished_at -> Nullable<BigInt>,
        expires_at -> Nullable<BigInt>,
        decided_at -> Nullable<BigInt>,
        decided_by -> Nullable<Text>,
        reason -> Nullable<Text>,
        delivery -> Text,
        digest -> Nullable<Text>,
        plan -> Text,
        rejection -> Nullable<Text>,
    }
}

table! {
    policy_targets (client_id, platform) {
        client_id -> Text,
        platform -> Text,
        boot_id -> Nullable<Text>,
        circuit_until -> Nullable<BigInt>,
        circuit_uptime_ms -> Nullable<BigInt>,
        circuit_span_ms -> Nullable<BigInt>,
        backoff_until -> Nullable<BigInt>,
        backoff_uptime_ms -> Nullable<BigInt>,
        backoff_span_ms -> Nullable<BigInt>,
        consecutive_failures -> BigInt,
        last_error -> Nullable<Text>,
        last_failure_at -> Nullable<BigInt>,
        last_success_at -> Nullable<BigInt>,
        stale_sweep_count -> BigInt,
        last_sweep_at -> Nullable<BigInt>,
        last_sweep_idle_ms -> Nullable<BigInt>,
        last_sweep_request_id -> Nullable<Text>,
        last_sweep_reason -> Nullable<Text>,
        updated_at -> BigInt,
    }
}

table! {
    policy_windows (platform) {
        platform -> Text,
        last_dispatched_at -> Nullable<BigInt>,
    }
}

table! {
    policy_dispatches (platform, number) {
        platform -> Text,
        number -> BigInt,
        at -> BigInt,
        uptime_ms -> Nullable<BigInt>,
        boot_id -> Nullable<Text>,
        count -> BigInt,
    }
}

table! {
    pairings (client_id) {
        client_id -> Text,
        origin -> Text,
        client_secret -> Text,
        requested_at -> BigInt,
        approved_at -> BigInt,
    }
}
