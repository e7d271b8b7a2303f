//! What callers know of their requests, and whether the journal says the same.

use crate::support::{Daemon, until};
use serde_json::Value;
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt,
    rc::Rc,
};

/// What a caller knows about its request in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It ended so, which the journal must say too.
    Ended(&'static str),
    /// It was not taken over.
    Refused,
    /// It was taken over; its end is the daemon's business.
    Left,
    /// The caller left before it could know.
    Unknown,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Rc<RefCell<HashMap<String, Known>>>);

impl Ledger {
    pub(crate) fn enter(&self, id: String, known: Known) {
        self.0.borrow_mut().insert(id, known);
    }
}

/// How the two compare.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    rows: usize,
    asked: usize,
    outcomes: BTreeMap<String, usize>,
    faults: Vec<String>,
}

impl Balance {
    pub(crate) fn is_even(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests, {} rows, {:?}, {} faults", self.asked, self.rows, self.outcomes, self.faults.len())?;
        for fault in self.faults.iter().take(10) {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

/// Reads the whole journal and compares.
pub(crate) async fn balance(daemon: &Daemon, ledger: &Ledger) -> Balance {
    let caller = daemon.caller();
    until("written rows", async || (caller.get("/readyz").await.status == 200).then_some(())).await;
    let mut rest = ledger.0.take();
    let mut balance = Balance { asked: rest.len(), ..Balance::default() };
    let mut query = "?limit=500".to_owned();
    loop {
        let page = caller.get(&format!("/v1/browser/requests{query}")).await.data();
        for row in page["requests"].as_array().unwrap() {
            balance.rows += 1;
            let (id, outcome) = (row["request_id"].as_str().unwrap(), row["outcome"].as_str().unwrap_or("none"));
            *balance.outcomes.entry(outcome.to_owned()).or_default() += 1;
            if row["phase"] != "done" || row["finished_at"] == Value::Null {
                balance.fault(format!("not finished: {row}"));
            }
            match rest.remove(id) {
                None => balance.fault(format!("a second row, or one that nobody asked for: {row}")),
                Some(Known::Ended(told)) if told != outcome => balance.fault(format!("{told} was told: {row}")),
                Some(Known::Refused) => balance.fault(format!("refused: {row}")),
                Some(_) => {}
            }
        }
        match page["next_before"].as_i64() {
            Some(before) => query = format!("?limit=500&before={before}"),
            None => break,
        }
    }
    for (id, known) in rest {
        if matches!(known, Known::Ended(_) | Known::Left) {
            balance.fault(format!("{id} ended as {known:?} and has no row"));
        }
    }
    balance
}
