//! Where the month will end, from what each day cost so far.
//!
//! The expected cost of a day is a level times a factor of its weekday. Factors are the weekdays' means over the last
//! eight weeks, drawn a little towards 1; the level is that of the last four weeks, newer days weighing more. The spread of a sum over days follows from the days' own spread and how much a day
//! is like the one before; then it is calibrated: the same forecast is made from many earlier days, and the band is
//! widened or narrowed by how far the truth lay from it in four of five cases.

use serde::Serialize;

/// A forecast of the sum over the coming days.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Forecast {
    pub(crate) expected: f64,
    /// In four of five cases the sum is between these.
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) backtest: Backtest,
}

/// How earlier forecasts of the same kind did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Backtest {
    /// Forecasts that were made from earlier days and could be checked.
    pub(crate) windows: usize,
    /// Those whose band, calibrated by the others, held the truth.
    pub(crate) covered: usize,
    /// Mean of |truth − expected| ÷ truth; absent where nothing was spent.
    pub(crate) mean_error: Option<f64>,
}

/// Days that are needed at least.
pub(crate) const FEWEST: usize = 7;
const LEVEL_DAYS: usize = 28;
const SEASON_DAYS: usize = 56;
/// The half-life of a day's weight in the level.
const HALF_LIFE: f64 = 9.0;
/// Two-sided 80 % of a normal distribution.
const Z80: f64 = 1.281_551_6;
/// How many independent windows the prior of a calibration of 1 weighs.
const PRIOR: f64 = 4.0;

/// Forecasts the sum over the `ahead` days after the last of `days`; nothing from less than [`FEWEST`] days.
pub(crate) fn forecast(days: &[f64], ahead: usize) -> Option<Forecast> {
    if days.len() < FEWEST {
        return None;
    }
    if ahead == 0 {
        return Some(Forecast { expected: 0.0, low: 0.0, high: 0.0, backtest: Backtest::default() });
    }
    let now = Sum::of(days, ahead);
    // Earlier forecasts over as many days, or fewer where history is short.
    let span = ahead.min((days.len() / 3).max(1));
    let windows: Vec<(f64, f64, Sum)> = (FEWEST.max(days.len().saturating_sub(180))..=days.len() - span)
        .map(|at| {
            let sum = Sum::of(&days[..at], span);
            let truth: f64 = days[at..at + span].iter().sum();
            ((truth - sum.mean) / sum.deviation.max(f64::MIN_POSITIVE), truth, sum)
        })
        .collect();
    let factor = calibration(windows.iter().map(|(z, ..)| *z), span);
    let covered = windows
        .iter()
        .enumerate()
        .filter(|(at, (z, ..))| {
            let others = windows.iter().enumerate().filter(|(other, _)| other.abs_diff(*at) >= span);
            z.abs() <= Z80 * calibration(others.map(|(_, (z, ..))| *z), span)
        })
        .count();
    let errors: Vec<f64> = windows
        .iter()
        .filter(|(_, truth, _)| *truth > 0.0)
        .map(|(_, truth, sum)| ((truth - sum.mean) / truth).abs())
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let mean_error = (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64);
    let half = Z80 * factor * now.deviation;
    Some(Forecast {
        expected: now.mean,
        low: (now.mean - half).max(0.0),
        high: now.mean + half,
        backtest: Backtest { windows: windows.len(), covered, mean_error },
    })
}

/// How much wider than reckoned a band must be to hold four of five; drawn towards 1 where few windows are independent.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
fn calibration(errors: impl Iterator<Item = f64>, span: usize) -> f64 {
    let mut sizes: Vec<f64> = errors.map(f64::abs).filter(|size| size.is_finite()).collect();
    if sizes.is_empty() {
        return 1.0;
    }
    sizes.sort_by(f64::total_cmp);
    let rank = ((sizes.len() as f64 * 0.8).ceil() as usize).clamp(1, sizes.len()) - 1;
    let independent = sizes.len() as f64 / span as f64;
    let seen = (sizes[rank] / Z80).clamp(0.2, 6.0);
    ((independent * seen.ln()) / (independent + PRIOR)).exp()
}

/// A sum over coming days: its mean and standard deviation.
#[derive(Clone, Copy, Debug)]
struct Sum {
    mean: f64,
    deviation: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of days")]
impl Sum {
    fn of(days: &[f64], ahead: usize) -> Self {
        let season = Season::of(days);
        let from = days.len().saturating_sub(LEVEL_DAYS);
        let weights: Vec<f64> =
            (from..days.len()).map(|at| 0.5_f64.powf((days.len() - 1 - at) as f64 / HALF_LIFE)).collect();
        let weighed = |of: &dyn Fn(usize) -> f64| -> f64 {
            (from..days.len()).zip(&weights).map(|(at, weight)| of(at) * weight).sum()
        };
        let level = weighed(&|at| days[at]) / weighed(&|at| season.factor(at)).max(f64::MIN_POSITIVE);
        let weight: f64 = weights.iter().sum();
        let effective = weight * weight / weights.iter().map(|weight| weight * weight).sum::<f64>();
        let factors: f64 = (0..ahead).map(|step| season.factor(days.len() + step)).sum();
        let mean = level * factors;

        let residuals: Vec<f64> = (from..days.len()).map(|at| days[at] - level * season.factor(at)).collect();
        let variance = residuals.iter().map(|one| one * one).sum::<f64>() / (residuals.len() as f64 - 1.0).max(1.0);
        let pairs: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let squares: f64 = residuals.iter().map(|one| one * one).sum();
        let alike = if squares > 0.0 { (pairs / squares).clamp(0.0, 0.85) } else { 0.0 };
        let inflation = (1.0 + alike) / (1.0 - alike);
        let ahead = ahead as f64;
        // The days' own spread, and that of the level they are reckoned from.
        let spread = variance * inflation * ahead * (1.0 + ahead / effective);
        // The spread itself is an estimate from few days.
        Self { mean, deviation: spread.sqrt() * (1.0 + 2.0 / effective) }
    }
}

/// Factors of weekdays; which of them is a Sunday does not matter.
struct Season([f64; 7]);

#[expect(clippy::cast_precision_loss, reason = "counts of days")]
impl Season {
    fn of(days: &[f64]) -> Self {
        let from = days.len().saturating_sub(SEASON_DAYS);
        let mean = days[from..].iter().sum::<f64>() / (days.len() - from) as f64;
        let mut factors = [1.0; 7];
        if days.len() - from < 14 || mean <= 0.0 {
            return Self(factors);
        }
        for (weekday, factor) in factors.iter_mut().enumerate() {
            let of_it: Vec<f64> = (from..days.len()).filter(|at| at % 7 == weekday).map(|at| days[at]).collect();
            let own = of_it.iter().sum::<f64>() / mean;
            // As if half a week more had been average.
            *factor = (own + 0.5) / (of_it.len() as f64 + 0.5);
        }
        let sum: f64 = factors.iter().sum();
        Self(factors.map(|factor| factor * 7.0 / sum))
    }

    fn factor(&self, day: usize) -> f64 {
        self.0[day % 7]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same in every run.
    struct Dice(u64);

    impl Dice {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 11) as f64) / ((1_u64 << 53) as f64)
        }

        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
        }
    }

    /// Spending of one kind of team over so many days.
    fn series(kind: u64, days: usize, dice: &mut Dice) -> Vec<f64> {
        let (scale, noise) = (10.0 + 500.0 * dice.uniform(), 0.05 + 0.4 * dice.uniform());
        let weekend = 0.2 + 0.8 * dice.uniform();
        let (growth, stickiness) = (0.012 * (dice.uniform() - 0.4), 0.7 * dice.uniform());
        let (mut state, mut level) = (0.0, 1.0);
        (0..days)
            .map(|day| {
                let season = if day % 7 >= 5 { weekend } else { 1.0 };
                state = stickiness * state + dice.normal();
                level *= match kind {
                    1 => (growth * 1.0_f64).exp(),
                    2 => (0.03 * dice.normal()).exp(),
                    _ => 1.0,
                };
                let shock = match kind {
                    3 => noise * state,
                    4 if dice.uniform() < 0.05 => 1.5,
                    _ => noise * dice.normal(),
                };
                let season = if kind == 5 { 1.0 } else { season };
                (scale * level * season * (shock - noise * noise / 2.0).exp()).max(0.0)
            })
            .collect()
    }

    /// Held out: the band is made from the days before, and the truth is what came after.
    #[test]
    fn four_of_five_bands_hold_the_truth() {
        let mut dice = Dice(7);
        let (mut all, mut held) = (0, 0);
        let mut by_kind = [(0, 0); 6];
        for round in 0..1_800 {
            let kind = round % 6;
            let history = 30 + (dice.uniform() * 90.0) as usize;
            let ahead = 1 + (dice.uniform() * 29.0) as usize;
            let days = series(kind, history + ahead, &mut dice);
            let told = forecast(&days[..history], ahead).unwrap();
            let truth: f64 = days[history..].iter().sum();
            let inside = (told.low..=told.high).contains(&truth);
            (all, held) = (all + 1, held + usize::from(inside));
            let of_kind = &mut by_kind[kind as usize];
            *of_kind = (of_kind.0 + 1, of_kind.1 + usize::from(inside));
        }
        let rate = held as f64 / all as f64;
        assert!((0.75..=0.85).contains(&rate), "{rate} in all; by kind {by_kind:?}");
    }

    #[test]
    fn steady_spending_goes_on() {
        let told = forecast(&[10.0; 60], 5).unwrap();
        assert!((told.expected - 50.0).abs() < 1e-6 && told.high - told.low < 1e-6);
        let weekly: Vec<f64> = (0..84).map(|day| if day % 7 < 5 { 10.0 } else { 0.0 }).collect();
        let told = forecast(&weekly, 7).unwrap();
        assert!((told.expected - 50.0).abs() < 3.0, "{told:?}");
        assert_eq!(forecast(&[1.0; 6], 3), None);
        assert_eq!(forecast(&[0.0; 40], 10).unwrap().expected, 0.0);
        assert_eq!(forecast(&[5.0; 40], 0).unwrap().high, 0.0);
    }
}
