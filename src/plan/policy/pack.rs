//! Pack: puts a plan together in which every zone names all its own endpoints and a given number of
//! others. An endpoint that serves its own zone serves others too where its load allows it. If none
//! does, a zone lends one: the endpoint serves other zones alone.

use super::{
    counts::{Names, Tally, float},
    problem::{Kind, MAX_NAMES, Problem},
};

/// A plan that is being put together.
pub struct Pack<'p> {
    problem: &'p Problem,
    senders: &'p [usize],
    zones: Vec<Zone>,
    hosts: Vec<Host>,
}

/// A zone that sends.
struct Zone {
    /// Its own endpoints.
    own: usize,
    /// How many of them are lent.
    lent: usize,
    /// The foreign endpoints that it names.
    foreign: usize,
    /// How many of its own it must keep.
    least: usize,
    /// Whether all endpoints name it. Room is kept for it on each of them.
    is_wide: bool,
}

/// Endpoints of one origin with the same names.
#[derive(Clone, Copy)]
struct Host {
    /// The place of the origin in the problem.
    origin: usize,
    /// The place of the zone among those that send, if its endpoints serve it.
    home: Option<usize>,
    count: usize,
    /// All names but that of the zone itself.
    names: Names,
    /// What the other zones send to each.
    guests: f64,
    /// Whether they have no names but those that they have in any case.
    is_plain: bool,
    /// Their names in force.
    was: Names,
}

impl<'p> Pack<'p> {
    /// The plan; `None` if it does not come about under the cap. Endpoints that are lent in force stay
    /// so if it comes about with them.
    pub fn of(problem: &'p Problem, senders: &'p [usize], foreign: &[usize]) -> Option<Tally> {
        let is_lent = |kind: &Kind| {
            let origin = problem.origins()[kind.origin].origin;
            origin.is_some_and(|own| !kind.was.has(own))
        };
        let again = problem.kinds().iter().any(is_lent);
        let again = again.then(|| Self::put_together(problem, senders, foreign, true)).flatten();
        again.or_else(|| Self::put_together(problem, senders, foreign, false))
    }

    fn put_together(
        problem: &'p Problem,
        senders: &'p [usize],
        foreign: &[usize],
        lends_again: bool,
    ) -> Option<Tally> {
        let zone = |(zone, foreign): (&usize, &usize)| Zone {
            own: problem.own(*zone),
            lent: 0,
            foreign: *foreign,
            least: if *foreign > 0 { problem.own(*zone) } else { problem.least(*zone) },
            is_wide: *foreign > 0 && problem.own(*zone) + foreign == problem.total(),
        };
        let zones: Vec<Zone> = senders.iter().zip(foreign).map(zone).collect();
        let is_home = |at: &usize| !zones[*at].is_wide;
        let host = |kind: &Kind| {
            let start = problem.origins()[kind.origin];
            Host {
                origin: kind.origin,
                home: senders.iter().position(|zone| start.origin == Some(*zone)).filter(is_home),
                count: kind.count,
                names: start.names,
                guests: start.load,
                is_plain: true,
                was: kind.was,
            }
        };
        let hosts = problem.kinds().iter().map(host).collect();
        let is_narrow = |at: &usize| foreign[*at] > 0 && is_home(at);
        let mut order: Vec<usize> = (0..senders.len()).filter(is_narrow).collect();
        let mut pack = Self { problem, senders, zones, hosts };
        order.sort_by(|one, other| pack.each(*other).total_cmp(&pack.each(*one)));
        for at in order {
            let left = if lends_again { pack.lend_again(at, foreign[at]) } else { foreign[at] };
            let left = pack.share(at, left);
            pack.lend(at, left)?;
        }
        let tally = pack.tally();
        problem.is_under_cap(&tally).then_some(tally)
    }

    /// What a zone sends to each endpoint that it names.
    fn each(&self, at: usize) -> f64 {
        let zone = &self.zones[at];
        self.problem.demand()[self.senders[at]] / float(zone.own - zone.lent + zone.foreign)
    }

    fn load(&self, host: &Host) -> f64 {
        host.guests + host.home.map_or(0.0, |home| self.each(home))
    }

    /// The most load that an endpoint may have besides that of the zones that all name.
    fn cap(&self) -> f64 {
        let wide = (0..self.zones.len()).filter(|at| self.zones[*at].is_wide);
        self.problem.cap() - wide.map(|at| self.each(at)).sum::<f64>()
    }

    /// Lets endpoints that have room for it serve a zone. Returns how many are missing.
    fn share(&mut self, at: usize, mut left: usize) -> usize {
        let each = self.each(at);
        let cap = self.cap();
        let zone = self.senders[at];
        let fits = |pack: &Self, host: &Host| {
            let own = usize::from(host.home.is_some());
            pack.problem.origins()[host.origin].origin != Some(zone)
                && !host.names.has(zone)
                && host.names.len() + own < MAX_NAMES
                && pack.load(host) + each <= cap
        };
        let mut order: Vec<usize> =
            (0..self.hosts.len()).filter(|host| fits(self, &self.hosts[*host])).collect();
        // Those that name it already come first, then those that the fewest others fit on.
        let names = |host: usize| self.hosts[host].was.has(zone);
        order.sort_by(|one, other| {
            let load = |host: usize| self.load(&self.hosts[host]);
            names(*other).cmp(&names(*one)).then_with(|| load(*other).total_cmp(&load(*one)))
        });
        for host in order {
            let taken = left.min(self.hosts[host].count);
            self.serve(host, at, taken, each);
            left -= taken;
        }
        self.hosts.retain(|host| host.count > 0);
        left
    }

    /// Lets `count` of a host's endpoints serve a zone too.
    fn serve(&mut self, host: usize, at: usize, count: usize, each: f64) {
        if count == 0 {
            return;
        }
        let from = self.hosts[host];
        self.hosts[host].count -= count;
        let names = from.names.with(self.senders[at]);
        let guests = from.guests + each;
        self.hosts.push(Host { count, names, guests, is_plain: false, ..from });
    }

    /// Lends endpoints to a zone, one after the other from where they are missed least.
    fn lend(&mut self, at: usize, left: usize) -> Option<()> {
        let zone = self.senders[at];
        let mut given: Vec<usize> = vec![0; self.senders.len()];
        for _ in 0..left {
            let after = |donor: &usize| {
                let Zone { own, lent, .. } = self.zones[*donor];
                self.problem.demand()[self.senders[*donor]] / float(own - lent - 1)
            };
            let lends_already = |donor: &usize| {
                let origin = Some(self.senders[*donor]);
                given[*donor] < self.problem.in_force().of(origin, Names::only(zone))
            };
            let donors = (0..self.senders.len()).filter(|donor| *donor != at);
            let donors = donors.filter(|donor| self.may_lend(*donor));
            let donor = donors.min_by(|one, other| {
                let first = lends_already(other).cmp(&lends_already(one));
                first.then(after(one).total_cmp(&after(other)))
            })?;
            self.zones[donor].lent += 1;
            given[donor] += 1;
        }
        for (donor, count) in given.into_iter().enumerate() {
            self.take(donor, at, count);
        }
        self.hosts.retain(|host| host.count > 0);
        Some(())
    }

    /// Lends the endpoints to a zone that are lent to it in force. Returns how many are missing.
    fn lend_again(&mut self, at: usize, mut left: usize) -> usize {
        for donor in (0..self.senders.len()).filter(|donor| *donor != at) {
            let (zone, own) = (self.senders[at], self.senders[donor]);
            let is_lent = |host: &&Host| {
                Self::is_plain(donor, host) && host.was.has(zone) && !host.was.has(own)
            };
            let most = self.hosts.iter().filter(is_lent).map(|host| host.count).sum::<usize>();
            let mut given = 0;
            while given < most.min(left) && self.may_lend(donor) {
                self.zones[donor].lent += 1;
                given += 1;
            }
            self.take(donor, at, given);
            left -= given;
        }
        self.hosts.retain(|host| host.count > 0);
        left
    }

    /// Lets `count` endpoints of a zone that serve it alone serve another zone instead. Those that do
    /// so in force come first.
    fn take(&mut self, donor: usize, at: usize, mut count: usize) {
        let (zone, own) = (self.senders[at], self.senders[donor]);
        let each = self.each(at);
        let is_plain = |host: &usize| Self::is_plain(donor, &self.hosts[*host]);
        let mut plain: Vec<usize> = (0..self.hosts.len()).filter(is_plain).collect();
        let lends = |was: Names| was.has(zone) && !was.has(own);
        plain.sort_by_key(|host| !lends(self.hosts[*host].was));
        for host in plain {
            let from = self.hosts[host];
            let taken = count.min(from.count);
            if taken > 0 {
                self.hosts[host].count -= taken;
                count -= taken;
                let (names, guests) = (from.names.with(zone), from.guests + each);
                let lent =
                    Host { home: None, count: taken, names, guests, is_plain: false, ..from };
                self.hosts.push(lent);
            }
        }
    }

    /// Whether these endpoints serve this zone alone.
    fn is_plain(at: usize, host: &Host) -> bool {
        host.home == Some(at) && host.is_plain
    }

    /// Whether a zone can do with one endpoint less, with all that the others serve besides.
    fn may_lend(&self, at: usize) -> bool {
        let zone = &self.zones[at];
        let kept = zone.own - zone.lent;
        let ours = self.hosts.iter().filter(|host| host.home == Some(at));
        let serving: usize = ours.clone().map(|host| host.count).sum();
        let most = ours.clone().map(|host| host.guests).fold(0.0, f64::max);
        let plain: usize = ours.filter(|host| host.is_plain).map(|host| host.count).sum();
        // The number of plain endpoints counts those that were lent in this round.
        kept > zone.least.max(1)
            && plain > serving - kept
            && self.problem.demand()[self.senders[at]] / float(kept - 1) + most <= self.cap()
    }

    /// Endpoints that no zone needs serve the zone that sends most.
    fn tally(&self) -> Tally {
        let demand = self.problem.demand();
        let most = |one: &usize, other: &usize| demand[*one].total_cmp(&demand[*other]);
        let busiest = self.senders.iter().copied().max_by(most);
        let is_wide = |(_, zone): &(&usize, &Zone)| zone.is_wide;
        let wide = self.senders.iter().zip(&self.zones).filter(is_wide).map(|(zone, _)| *zone);
        let wide = self.problem.wide().and(wide.collect());
        let mut tally = Tally::default();
        for host in &self.hosts {
            let home = host.home.map(|home| self.senders[home]);
            let names = home.map_or(host.names, |home| host.names.with(home)).and(wide);
            let spare = if names.is_empty() { busiest.map(Names::only) } else { None };
            let origin = self.problem.origins()[host.origin].origin;
            tally.add(origin, spare.unwrap_or(names), host.count);
        }
        tally
    }
}
