//! What attempts, one after the other, add up to.

use super::failure::Failure;

/// However few failures it takes to fail: another kind of failure must be seen this often in a row
/// to be worth telling, or a server that fails in two ways by turns would be told of for ever.
const STEADY: u32 = 3;

/// The attempts so far.
#[derive(Debug)]
pub(super) struct Streak {
    /// How many failures in a row it takes.
    failures: u32,
    /// What was said last.
    said: Option<Result<(), Failure>>,
    /// How many attempts in a row have failed.
    failed: u32,
    /// The last failure, and how many in a row were the same.
    last: Option<(Failure, u32)>,
}

impl Streak {
    /// No attempt yet; it takes `failures` in a row to fail, at least one.
    pub(super) fn new(failures: u32) -> Self {
        Streak { failures: failures.max(1), said: None, failed: 0, last: None }
    }

    /// Takes in one more attempt. What there is to say now, if it is something else than before.
    pub(super) fn add(&mut self, attempt: Result<(), Failure>) -> Option<Result<(), Failure>> {
        let worth_telling = match &attempt {
            Ok(()) => {
                self.failed = 0;
                self.last = None;
                self.said != Some(Ok(()))
            }
            Err(failure) => {
                self.failed = self.failed.saturating_add(1);
                let before = self.last.take().filter(|(last, _)| last == failure).map_or(0, |(_, times)| times);
                let alike = before.saturating_add(1);
                self.last = Some((failure.clone(), alike));
                match &self.said {
                    Some(Err(told)) => told != failure && alike >= self.failures.max(STEADY),
                    Some(Ok(())) | None => self.failed >= self.failures,
                }
            }
        };
        worth_telling.then(|| {
            self.said = Some(attempt.clone());
            attempt
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Result<(), Failure> = Ok(());
    const REFUSED: Result<(), Failure> = Err(Failure::Refused);
    const RESET: Result<(), Failure> = Err(Failure::Reset);

    /// What is said after each attempt.
    fn said(failures: u32, attempts: &[Result<(), Failure>]) -> Vec<Option<Result<(), Failure>>> {
        let mut streak = Streak::new(failures);
        attempts.iter().map(|attempt| streak.add(attempt.clone())).collect()
    }

    #[test]
    fn nothing_is_said_before_the_first_success_or_enough_failures() {
        assert_eq!(said(3, &[REFUSED, REFUSED, OK]), [None, None, Some(OK)]);
        assert_eq!(said(3, &[REFUSED, REFUSED, REFUSED]), [None, None, Some(REFUSED)]);
        assert_eq!(said(3, &[OK]), [Some(OK)]);
    }

    #[test]
    fn a_success_in_between_starts_the_count_over() {
        assert_eq!(
            said(2, &[OK, REFUSED, OK, REFUSED, RESET, OK]),
            [Some(OK), None, None, None, Some(RESET), Some(OK)]
        );
    }

    #[test]
    fn the_same_is_said_once() {
        assert_eq!(said(1, &[OK, OK, REFUSED, REFUSED]), [Some(OK), None, Some(REFUSED), None]);
        // None at all would mean that it fails without having failed.
        assert_eq!(said(0, &[OK, REFUSED]), [Some(OK), Some(REFUSED)]);
    }

    #[test]
    fn another_failure_is_told_once_it_lasts_and_two_by_turns_never() {
        assert_eq!(said(1, &[REFUSED, RESET, RESET, RESET, RESET]), [Some(REFUSED), None, None, Some(RESET), None]);
        assert_eq!(said(4, &[REFUSED; 4]).last(), Some(&Some(REFUSED)));
        assert_eq!(said(4, &[&[REFUSED; 4][..], &[RESET; 4]].concat())[4..], [None, None, None, Some(RESET)]);
        let by_turns: Vec<_> = [REFUSED, RESET].into_iter().cycle().take(1000).collect();
        assert_eq!(said(1, &by_turns).into_iter().flatten().count(), 1);
    }
}
