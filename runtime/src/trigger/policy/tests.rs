use super::*;

const STANDING: Standing = Standing { records: 100, failures: 0, in_row: 0 };

fn rules(retries_max: Option<u32>, bisects: bool) -> TriggerRules {
    TriggerRules { retries_max, bisects, ..TriggerRules::default() }
}

fn check(rules: &TriggerRules, standing: Standing, outcome: Outcome, expected: Decision) {
    assert_eq!(decide(rules, standing, outcome, 1.0), expected, "{standing:?} {outcome:?} {rules:?}");
}

#[test]
fn a_success_commits_whatever_was_before() {
    for failures in [0, 1, 100, u32::MAX] {
        let standing = Standing { failures, in_row: failures, ..STANDING };
        check(&rules(Some(0), true), standing, Outcome::Succeeded, Decision::Commit);
    }
}

#[test]
fn without_a_limit_a_failure_is_retried_for_ever_with_doubling_bounds() {
    let waits_ms = [(0, 100), (1, 200), (2, 400), (6, 6400), (7, 10_000), (8, 10_000), (999, 10_000)];
    for (in_row, bound_ms) in waits_ms {
        let standing = Standing { failures: in_row, in_row, ..STANDING };
        let after = Duration::from_millis(bound_ms);
        check(&rules(None, false), standing, Outcome::Failed, Decision::Again { after, counts: true });
        let half = decide(&rules(None, false), standing, Outcome::Failed, 0.5);
        assert_eq!(half, Decision::Again { after: after / 2, counts: true });
    }
    assert_eq!(backoff(u32::MAX, 1.0), RETRY_BACKOFF_CAP);
}

/// Calls of a batch that always fails, and whether it was given up after them.
fn calls(rules: &TriggerRules, records: usize, calls_max: u32) -> Option<u32> {
    let mut standing = Standing { records, ..STANDING };
    for call in 1..=calls_max {
        match decide(rules, standing, Outcome::Failed, 0.0) {
            Decision::GiveUp => return Some(call),
            Decision::Again { counts, .. } => standing.failures += u32::from(counts),
            Decision::Split { at, .. } => standing.records = at,
            other @ (Decision::Commit | Decision::Rest { .. }) => panic!("{other:?}"),
        }
    }
    None
}

/// `approximateInvokeCount` is `MaximumRetryAttempts` + 1.
#[test]
fn retries_are_calls_behind_the_first() {
    for (retries, expected) in [(0, 1), (1, 2), (2, 3), (3, 4), (10_000, 10_001)] {
        assert_eq!(calls(&rules(Some(retries), false), 100, 20_000), Some(expected));
    }
    assert_eq!(calls(&rules(None, false), 100, 20_000), None);
}

#[test]
fn splitting_uses_up_no_retry() {
    // 100, 50, 25, 12, 6, 3, 1: six splits, then the one record alone.
    for (retries, expected) in [(0, 7), (1, 8), (3, 10)] {
        assert_eq!(calls(&rules(Some(retries), true), 100, 100), Some(expected));
    }
    let after = RETRY_BACKOFF_BASE;
    for (records, at) in [(2, 1), (3, 1), (5, 2), (10_000, 5000)] {
        let standing = Standing { records, ..STANDING };
        check(&rules(Some(0), true), standing, Outcome::Failed, Decision::Split { at, after });
    }
    let alone = Standing { records: 1, ..STANDING };
    check(&rules(None, true), alone, Outcome::Failed, Decision::Again { after, counts: true });
}

#[test]
fn what_was_taken_is_not_delivered_again() {
    let after = RETRY_BACKOFF_BASE;
    for (retries, bisects) in [(Some(0), false), (Some(0), true), (None, false), (None, true)] {
        let some = Outcome::TookSome { taken: 7 };
        check(&rules(retries, bisects), STANDING, some, Decision::Rest { taken: 7, after });
    }
}

/// There is nothing to cut before a first record that was not taken.
#[test]
fn a_first_record_that_was_not_taken_uses_up_retries() {
    let none = Outcome::TookSome { taken: 0 };
    for bisects in [false, true] {
        let rules = rules(Some(1), bisects);
        check(&rules, STANDING, none, Decision::Again { after: RETRY_BACKOFF_BASE, counts: true });
        check(&rules, Standing { failures: 1, ..STANDING }, none, Decision::GiveUp);
    }
}

#[test]
fn what_did_not_reach_the_function_uses_up_nothing() {
    for failures in [0, 1, 2] {
        let expected = Decision::Again { after: RETRY_BACKOFF_BASE, counts: false };
        check(&rules(Some(1), true), Standing { failures, ..STANDING }, Outcome::NotReached, expected);
    }
}

#[test]
fn records_are_delivered_up_to_their_age() {
    let now = Timestamp::from_millis(100_000);
    assert_eq!(oldest_delivered(now, None), Timestamp::from_millis(0));
    assert_eq!(oldest_delivered(now, Some(Duration::from_mins(1))), Timestamp::from_millis(40_000));
    assert_eq!(oldest_delivered(now, Some(Duration::from_hours(1))), Timestamp::from_millis(0));
}

#[test]
fn rests_grow_to_their_bound() {
    let rests: Vec<u64> = (0..8).map(|looks| rest(looks).as_secs()).collect();
    assert_eq!(rests, [1, 1, 2, 4, 8, 10, 10, 10]);
    assert_eq!(rest(u32::MAX), TIP_WAIT_MAX);
}
