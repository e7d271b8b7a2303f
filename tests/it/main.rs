//! The daemon from outside: the real binary on real sockets, one file per resource.
//!
//! Each test starts a daemon of its own on a free port, with a state folder, a configuration and a home of its own, so
//! tests run side by side. Callers are written by hand down to the bytes where bytes matter; peers are the simulated
//! Firefox, most of them answered by the test itself. Time is real: tests await frames and conditions, never a pause,
//! and say nothing about how long something took.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had ends the test")]

mod actions;
mod attack;
mod audit;
mod buffered;
mod cancel;
mod claude;
mod codex;
mod command;
mod current;
mod discovery;
mod doctor;
mod events;
mod exactly_once;
mod exec;
mod explain;
mod extension;
mod faults;
mod files;
mod frames;
mod guard;
mod guarded;
mod instructions;
mod journal;
mod limits;
mod metrics;
mod openapi;
mod pairing;
mod peers;
mod policy;
mod probes;
mod prompts;
mod read_only;
mod records;
mod sandbox;
mod secrets;
mod service;
mod session;
mod shutdown;
mod steps;
mod stream;
mod support;
mod system;
mod tasks;
mod token;
mod waiting;
mod websocket;
