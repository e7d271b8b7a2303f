//! Compares the outcomes that callers observed with the journal.

use crate::support::{Daemon, until};
use serde_json::Value;
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt,
    rc::Rc,
};

/// The outcome of a request as its caller observed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerOutcome {
    /// Ended with this outcome, which the journal must contain too.
    Ended(&'static str),
    /// Refused; it has no row.
    Refused,
    /// Accepted; the caller did not wait for the end.
    Left,
    /// The caller disconnected before it knew.
    Unknown,
}

/// The outcomes of all requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Rc<RefCell<HashMap<String, CallerOutcome>>>);

impl Ledger {
    pub(crate) fn enter(&self, id: String, known: CallerOutcome) {
        self.0.borrow_mut().insert(id, known);
    }
}

/// The result of the comparison.
#[derive(Debug, Default)]
pub(crate) struct JournalComparison {
    rows: usize,
    asked: usize,
    outcomes: BTreeMap<String, usize>,
    faults: Vec<String>,
}

impl JournalComparison {
    pub(crate) fn is_even(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }
}

impl fmt::Display for JournalComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests, {} rows, {:?}, {} faults", self.asked, self.rows, self.outcomes, self.faults.len())?;
        for fault in self.faults.iter().take(10) {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

/// Reads the whole journal and compares it with the ledger.
pub(crate) async fn balance(daemon: &Daemon, ledger: &Ledger) -> JournalComparison {
    let caller = daemon.caller();
    until("written rows", async || (caller.get("/readyz").await.status == 200).then_some(())).await;
    let mut rest = ledger.0.take();
    let mut balance = JournalComparison { asked: rest.len(), ..JournalComparison::default() };
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
                None => balance.fault(format!("a second row, or a row without a request: {row}")),
                Some(CallerOutcome::Ended(observed)) if observed != outcome => {
                    balance.fault(format!("the caller saw {observed}: {row}"))
                }
                Some(CallerOutcome::Refused) => balance.fault(format!("refused: {row}")),
                Some(_) => {}
            }
        }
        match page["next_before"].as_i64() {
            Some(before) => query = format!("?limit=500&before={before}"),
            None => break,
        }
    }
    for (id, known) in rest {
        if matches!(known, CallerOutcome::Ended(_) | CallerOutcome::Left) {
            balance.fault(format!("{id} ended as {known:?} and has no row"));
        }
    }
    balance
}
