//! Each statement is answered from the index that was made for it, whatever the filter.

use super::*;
use crate::store::memory;

fn filters() -> Vec<LoginFilter> {
    let value = |on: bool| on.then(|| "x".to_owned());
    let filter = |bits: u8| LoginFilter {
        platform: value(bits & 1 > 0),
        account: value(bits & 2 > 0),
        client_id: value(bits & 4 > 0),
    };
    (0..8).map(filter).collect()
}

/// The step of a plan that visits the logins, the only one of its kind.
fn visit(plan: &str) -> &str {
    assert!(!plan.contains("SCAN logins\n") && !plan.ends_with("SCAN logins"), "{plan}");
    plan.lines().find(|step| step.contains(" logins ")).expect("the logins are visited")
}

#[test]
fn the_logins_of_clients_are_found_by_key() {
    for filter in filters() {
        let plan = of_clients_statement(&filter, "[]").plan(&mut memory());
        assert!(visit(&plan).starts_with("SEARCH logins USING INDEX logins_by_key (client_id=?"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn the_logins_of_others_are_walked_from_the_newest_or_found_by_key() {
    for filter in filters() {
        let others = OtherLogins { filter: &filter, but: &[], lost_before: 0 };
        for (status, before) in
            [(None, None), (Some(OfflineLoginStatus::Lost), Some(5)), (Some(OfflineLoginStatus::Stale), None)]
        {
            let plan = of_others_statement(&others, "[]", status, before, 9).plan(&mut memory());
            let expected = match (&filter.client_id, before) {
                (Some(_), _) => "SEARCH logins USING INDEX logins_by_key (client_id=?",
                (None, Some(_)) => "SEARCH logins USING INDEX logins_by_revision (revision<?)",
                (None, None) => "SCAN logins USING INDEX logins_by_revision",
            };
            assert!(visit(&plan).starts_with(expected), "{plan}");
            assert!(filter.client_id.is_some() || !plan.contains("TEMP B-TREE"), "only a client is sorted: {plan}");
        }
    }
}

#[test]
fn the_logins_of_others_are_counted_in_an_index_alone() {
    for filter in filters().into_iter().filter(|filter| filter.client_id.is_none()) {
        let others = OtherLogins { filter: &filter, but: &[], lost_before: 0 };
        let plan = count_others_statement(&others, "[]").plan(&mut memory());
        assert!(visit(&plan).contains("logins USING COVERING INDEX logins_by_state"), "{plan}");
        assert_eq!(visit(&plan).starts_with("SEARCH"), filter.platform.is_some(), "{plan}");
    }
    let filter = LoginFilter { client_id: Some("x".into()), ..LoginFilter::default() };
    let others = OtherLogins { filter: &filter, but: &[], lost_before: 0 };
    let plan = count_others_statement(&others, "[]").plan(&mut memory());
    assert!(visit(&plan).starts_with("SEARCH logins USING INDEX logins_by_key (client_id=?"), "{plan}");
}

#[test]
fn the_endpoints_of_many_logins_are_found_at_once() {
    let plan = endpoints_statement("[]").plan(&mut memory());
    assert!(plan.contains("SEARCH login_endpoints USING INDEX login_endpoints_by_key (login_id=?)"), "{plan}");
    let plan = endpoint_count_statement(1, 9).plan(&mut memory());
    assert!(plan.contains("SEARCH login_endpoints USING COVERING INDEX login_endpoints_by_key (login_id=?)"), "{plan}");
}
