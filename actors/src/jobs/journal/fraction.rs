//! [`Fraction`]: a part of a whole.

/// The part of a job's work that is done, 0 to 1: a number, or what is done and how much there is. What is outside becomes
/// the nearer end; of nothing everything is done.
///
/// ```
/// use callboard_actors::jobs::Fraction;
///
/// assert_eq!(Fraction::from((3, 4)), Fraction::from(0.75));
/// assert_eq!(Fraction::from(7.0), Fraction::from((0, 0)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Fraction(f64);

impl Fraction {
    /// As a number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl From<f64> for Fraction {
    fn from(part: f64) -> Self {
        Fraction(if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) })
    }
}

impl From<(u64, u64)> for Fraction {
    fn from((done, of): (u64, u64)) -> Self {
        if of == 0 { Fraction(1.0) } else { Fraction::from(done as f64 / of as f64) }
    }
}
