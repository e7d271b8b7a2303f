//! The table: what each figure was, what the floor's was, and whether its bound holds.
//!
//! `--strict` judges the median over the rounds by every bound. `--gate` judges ratios to the floor alone, each round by
//! itself: a bound counts as missed if every round misses it by more than [`GATE_ROOM`]. Ratios of one commit differ by
//! up to a tenth between rounds on a machine that others use too; that all rounds are off to the same side is then no
//! accident.

use crate::{daemon::Side, measure::median};
use serde_json::{Value, json};

/// The bound of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// No bound.
    None,
    /// At most this value.
    AtMost(f64),
    /// At most this multiple of the floor's figure.
    AtMostTimes(f64),
    /// At least this multiple of the floor's figure.
    AtLeastTimes(f64),
}

/// One figure of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    pub(crate) bound: Bound,
}

impl Sample {
    pub(crate) fn new(what: &'static str, unit: &'static str, value: f64, bound: Bound) -> Self {
        Sample { what, unit, value, bound }
    }
}

/// How far beyond its bound a ratio may lie before the gate counts it as missed, as a factor.
const GATE_ROOM: f64 = 1.1;

struct Row {
    case: &'static str,
    sample: Sample,
    daemon: Vec<f64>,
    floor: Vec<f64>,
}

/// The heading of the table.
pub(crate) const HEAD: &str =
    "case              what                                 value      floor    ratio  bound        unit";

/// All figures of a run.
pub(crate) struct Report {
    rows: Vec<Row>,
    judges: bool,
}

impl Report {
    /// Returns an empty report, with or without verdicts.
    pub(crate) fn new(judges: bool) -> Self {
        Report { rows: Vec::new(), judges }
    }

    pub(crate) fn add(&mut self, case: &'static str, side: Side, samples: Vec<Sample>) {
        for sample in samples {
            let at = self.rows.iter().position(|row| row.case == case && row.sample.what == sample.what);
            let at = at.unwrap_or_else(|| {
                self.rows.push(Row { case, sample, daemon: Vec::new(), floor: Vec::new() });
                self.rows.len() - 1
            });
            match side {
                Side::Daemon => self.rows[at].daemon.push(sample.value),
                Side::Floor => self.rows[at].floor.push(sample.value),
            }
        }
    }

    pub(crate) fn print(&self, case: &str) {
        for row in self.rows.iter().filter(|row| row.case == case) {
            let number = |values: &[f64]| match median(values) {
                value if value.is_nan() => "-".to_owned(),
                value if value.abs() >= 1_000.0 => format!("{value:.0}"),
                value => format!("{value:.3}"),
            };
            let ratio = match row.ratio() {
                ratio if ratio.is_nan() => "-".to_owned(),
                ratio => format!("{ratio:.2}x"),
            };
            let verdict = match row.ok().filter(|_| self.judges) {
                None => "",
                Some(true) => "ok",
                Some(false) => "OVER",
            };
            let bound = row.sample.bound.text();
            println!(
                "{:<17} {:<32} {:>9}  {:>9}  {ratio:>7}  {bound:<8} {verdict:<4} {}",
                row.case,
                row.sample.what,
                number(&row.daemon),
                number(&row.floor),
                row.sample.unit,
            );
        }
    }

    /// Number of missed bounds, by the rules of `--gate` or by those of `--strict`.
    pub(crate) fn over(&self, gate: bool) -> usize {
        let missed = |row: &&Row| if gate { row.is_stopped() } else { row.ok() == Some(false) };
        let missed: Vec<&Row> = self.rows.iter().filter(missed).collect();
        if gate {
            missed.iter().for_each(|row| println!("{}", row.objection()));
        }
        missed.len()
    }

    pub(crate) fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({"case": row.case, "what": row.sample.what, "unit": row.sample.unit, "daemon": row.daemon,
                "floor": row.floor, "ratio": row.ratio(), "bound": row.sample.bound.text(), "ok": row.ok()})
        };
        self.rows.iter().map(row).collect()
    }
}

impl Row {
    /// Ratios of the rounds; both runs of a round had the same conditions.
    fn ratios(&self) -> Vec<f64> {
        self.daemon.iter().zip(&self.floor).map(|(daemon, floor)| daemon / floor).collect()
    }

    /// Median of the ratios.
    fn ratio(&self) -> f64 {
        median(&self.ratios())
    }

    /// Whether every round misses a bound on the ratio by more than the room of the gate.
    fn is_stopped(&self) -> bool {
        let misses = |ratio: &f64| match self.sample.bound {
            Bound::AtMostTimes(most) => *ratio > most * GATE_ROOM,
            Bound::AtLeastTimes(least) => *ratio < least / GATE_ROOM,
            Bound::AtMost(_) | Bound::None => false,
        };
        let ratios = self.ratios();
        !ratios.is_empty() && ratios.iter().all(misses)
    }

    fn objection(&self) -> String {
        let ratios: Vec<String> = self.ratios().iter().map(|ratio| format!("{ratio:.2}")).collect();
        format!(
            "{}, {}: {} times the floor's in the rounds, bound {}",
            self.case,
            self.sample.what,
            ratios.join(", "),
            self.sample.bound.text()
        )
    }

    fn ok(&self) -> Option<bool> {
        let (value, ratio) = (median(&self.daemon), self.ratio());
        match self.sample.bound {
            Bound::AtMost(most) if !value.is_nan() => Some(value <= most),
            Bound::AtMostTimes(most) if !ratio.is_nan() => Some(ratio <= most),
            Bound::AtLeastTimes(least) if !ratio.is_nan() => Some(ratio >= least),
            _ => None,
        }
    }
}

impl Bound {
    fn text(self) -> String {
        match self {
            Bound::None => String::new(),
            Bound::AtMost(most) => format!("<= {most}"),
            Bound::AtMostTimes(most) => format!("<= {most}x"),
            Bound::AtLeastTimes(least) => format!(">= {least}x"),
        }
    }
}
