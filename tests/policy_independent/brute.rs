//! What a plan is worth, and the best of all plans, straight from docs/planner.md 8.1.

/// Numbers that should be equal may differ by this much.
pub const TOLERANCE: f64 = 1e-9;

/// The zones that an endpoint names: a bit each.
pub type Bits = u32;

/// The endpoints of a Service, each with its own zone, and what each zone sends.
#[derive(Debug)]
pub struct Case {
    pub own: Vec<Option<usize>>,
    pub demand: Vec<f64>,
}

/// What a plan is worth.
#[derive(Clone, Copy, Debug)]
pub struct Worth {
    pub in_zone: f64,
    pub changes: usize,
    pub overload: f64,
}

impl Worth {
    pub fn equals(&self, other: &Self) -> bool {
        (self.in_zone - other.in_zone).abs() <= TOLERANCE
            && self.changes == other.changes
            && (self.overload - other.overload).abs() <= TOLERANCE
    }
}

impl Case {
    /// Every zone.
    pub fn all(&self) -> Bits {
        (1 << self.demand.len()) - 1
    }

    /// What it is worth that each endpoint names these zones. `None` if no plan may do so.
    pub fn worth(&self, names: &[Bits]) -> Option<Worth> {
        let mut load = vec![0.0; names.len()];
        let mut in_zone = 0.0;
        for (zone, demand) in self.demand.iter().enumerate() {
            let (mut naming, mut naming_own, mut own) = (0, 0, 0);
            for (bits, origin) in names.iter().zip(&self.own) {
                let is_named = bits & (1 << zone) != 0;
                let is_own = *origin == Some(zone);
                naming += u32::from(is_named);
                own += u32::from(is_own);
                naming_own += u32::from(is_named && is_own);
            }
            let all = u32::try_from(names.len()).ok()?;
            let silent = if own > 0 { (own, own) } else { (all, 0) };
            if naming == 0 || (*demand == 0.0 && (naming, naming_own) != silent) {
                return None;
            }
            let part = demand / f64::from(naming);
            in_zone += part * f64::from(naming_own);
            for (load, bits) in load.iter_mut().zip(names) {
                if bits & (1 << zone) != 0 {
                    *load += part;
                }
            }
        }
        let mut most: f64 = 0.0;
        for load in load {
            most = most.max(load);
        }
        let mut changes = 0;
        for (bits, origin) in names.iter().zip(&self.own) {
            changes += usize::from(origin.is_none_or(|zone| *bits != 1 << zone));
        }
        let even = 1.0 / f64::from(u32::try_from(names.len()).ok()?);
        Some(Worth { in_zone, changes, overload: most / even - 1.0 })
    }

    /// Calls `each` with every assignment of one zone or more to each endpoint. Of assignments that
    /// differ only by an exchange of endpoints of one zone, one is enough. Those endpoints must stand
    /// next to each other.
    fn for_each(&self, names: &mut Vec<Bits>, each: &mut impl FnMut(&[Bits])) {
        let at = names.len();
        if at == self.own.len() {
            return each(names);
        }
        let has_equal = at > 0 && self.own[at - 1] == self.own[at];
        let first = if has_equal { names[at - 1] } else { 1 };
        for bits in first..=self.all() {
            names.push(bits);
            self.for_each(names, each);
            names.pop();
        }
    }
}

/// What all plans of a case are worth.
pub struct Optimum(Vec<Worth>);

impl Optimum {
    pub fn of(case: &Case) -> Self {
        let mut all = Vec::new();
        case.for_each(&mut Vec::new(), &mut |names| all.extend(case.worth(names)));
        Self(all)
    }

    /// The best one under a cap in percent: the highest in-zone share, then the fewest changes, then
    /// the lowest overload.
    pub fn under(&self, cap: u16) -> Worth {
        let limit = f64::from(cap) / 100.0 + TOLERANCE;
        let mut in_zone: f64 = 0.0;
        for worth in &self.0 {
            if worth.overload <= limit && worth.in_zone > in_zone {
                in_zone = worth.in_zone;
            }
        }
        let mut best = Worth { in_zone, changes: usize::MAX, overload: f64::INFINITY };
        for worth in &self.0 {
            let is_equal = worth.overload <= limit && worth.in_zone >= in_zone - TOLERANCE;
            let here = (worth.changes, worth.overload);
            if is_equal && here < (best.changes, best.overload) {
                (best.changes, best.overload) = here;
            }
        }
        best
    }
}
