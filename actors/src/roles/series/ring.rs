//! The last steps of a few numbers.

use std::collections::VecDeque;

/// So many steps without a sample are taken for one that came late, and get the numbers of that; more are a gap.
const LATE: u64 = 2;

/// The last steps of `N` numbers; what is not known is not a number.
#[derive(Clone, Debug)]
pub(super) struct Ring<const N: usize> {
    most: usize,
    /// The number of the newest step.
    newest: Option<u64>,
    steps: VecDeque<[f32; N]>,
}

impl<const N: usize> Ring<N> {
    /// Keeps so many steps.
    pub(super) fn new(most: usize) -> Self {
        Ring { most, newest: None, steps: VecDeque::new() }
    }

    /// The numbers of a step. Steps before the newest one are ignored: clocks are set back.
    pub(super) fn put(&mut self, step: u64, numbers: [f32; N]) {
        if let Some(newest) = self.newest {
            let Some(missing) = step.checked_sub(newest + 1) else { return };
            let filled = if missing <= LATE { numbers } else { [f32::NAN; N] };
            let most = u64::try_from(self.most).unwrap_or(u64::MAX);
            for _ in 0..missing.min(most) {
                self.push(filled);
            }
        }
        self.push(numbers);
        self.newest = Some(step);
    }

    fn push(&mut self, numbers: [f32; N]) {
        if self.steps.len() == self.most {
            self.steps.pop_front();
        }
        self.steps.push_back(numbers);
    }

    /// The number of the newest step.
    pub(super) fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// The newest `count` steps of one number, oldest first.
    pub(super) fn column(&self, number: usize, count: usize) -> impl Iterator<Item = Option<f64>> {
        let skipped = self.steps.len().saturating_sub(count);
        // Three places are more than what is counted is worth.
        let rounded = |number: f32| (f64::from(number) * 1e3).round() / 1e3;
        let known = move |step: &[f32; N]| Some(rounded(step[number])).filter(|number| number.is_finite());
        self.steps.iter().skip(skipped).map(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(ring: &Ring<1>) -> Vec<Option<f64>> {
        ring.column(0, 100).collect()
    }

    #[test]
    fn a_late_step_covers_what_it_is_late_for_and_a_long_silence_is_a_gap() {
        let mut ring = Ring::new(5);
        ring.put(10, [1.0]);
        ring.put(12, [2.0]);
        assert_eq!(all(&ring), [Some(1.0), Some(2.0), Some(2.0)]);
        ring.put(16, [3.0]);
        assert_eq!(all(&ring), [Some(2.0), None, None, None, Some(3.0)]);
        ring.put(1_000_000, [4.0]);
        assert_eq!(all(&ring), [None, None, None, None, Some(4.0)]);
        assert_eq!(ring.newest(), Some(1_000_000));
        assert_eq!(ring.column(0, 1).collect::<Vec<_>>(), [Some(4.0)]);
    }

    #[test]
    fn steps_that_were_before_are_ignored() {
        let mut ring = Ring::new(5);
        for step in [10, 10, 9] {
            ring.put(step, [step as f32]);
        }
        assert_eq!(all(&ring), [Some(10.0)]);
    }
}
