//! Left out: pods that are missing from the slices of their Service, entirely or with one address,
//! and when that needs an Event. Pure.

use std::time::Duration;

use foldhash::HashMap;
use tokio::time::Instant;

use crate::{
    model::name::ServiceKey,
    report::news::{self, News},
};

/// A pod is often seen before its node. An Event is emitted only after this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The Services with pods that are left out, by cause. Each cause has a separate Event.
#[derive(Debug, Default)]
pub struct LeftOut(HashMap<ServiceKey, [Option<Waiting>; 2]>);

/// An Event for one cause, which is emitted when the cause has lasted.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    news: News,
    is_emitted: bool,
}

impl LeftOut {
    /// Records what the last plan of a Service leaves out. If `is_emitted`, it is already known and
    /// not reported again.
    pub fn note(
        &mut self,
        service: &ServiceKey,
        news: &news::LeftOut,
        is_emitted: bool,
        now: Instant,
    ) {
        if news.iter().all(Option::is_none) {
            self.0.remove(service);
            return;
        }
        let known = self.0.entry(service.clone()).or_default();
        for (waiting, news) in known.iter_mut().zip(news) {
            let before = waiting.take();
            *waiting = news.clone().map(|news| match before {
                Some(before) => Waiting { news, ..before },
                None => Waiting { since: now, news, is_emitted },
            });
        }
    }

    /// A Service is no longer served.
    pub fn forget(&mut self, service: &ServiceKey) {
        self.0.remove(service);
    }

    /// The Events that are due now, sorted by Service. Each is returned once.
    pub fn overdue(&mut self, now: Instant) -> Vec<(ServiceKey, News)> {
        let mut overdue = Vec::new();
        for (service, causes) in &mut self.0 {
            for waiting in causes.iter_mut().flatten() {
                let waits = now.saturating_duration_since(waiting.since);
                if !waiting.is_emitted && waits >= PATIENCE {
                    waiting.is_emitted = true;
                    overdue.push((service.clone(), waiting.news.clone()));
                }
            }
        }
        overdue.sort_by(|(one, _), (other, _)| one.cmp(other));
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_emitted_once_when_it_has_lasted() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let service = ServiceKey { namespace: "shop".into(), name: "web".into() };
        let node = |pod: &str| Some(News::NodeMissing { pod: pod.into(), others: 0 });
        let address = |pod: &str| {
            let address = [127, 0, 0, 1].into();
            Some(News::AddressNotAllowed { pod: pod.into(), address, others: 0 })
        };
        let mut left_out = LeftOut::default();
        let mut emitted = |second, news: [Option<News>; 2], is_emitted| {
            left_out.note(&service, &news, is_emitted, at(second));
            let overdue = left_out.overdue(at(second)).into_iter();
            overdue.map(|(_, news)| news).collect::<Vec<_>>()
        };
        assert_eq!(emitted(0, [node("a"), None], false), []);
        assert_eq!(emitted(5, [node("b"), address("c")], false), []);
        assert_eq!(emitted(10, [node("b"), address("c")], false), Vec::from_iter(node("b")));
        assert_eq!(emitted(14, [None, address("c")], false), []);
        assert_eq!(emitted(15, [node("b"), address("d")], false), Vec::from_iter(address("d")));
        assert_eq!(emitted(24, [node("b"), address("d")], false), [], "it was over in between");
        assert_eq!(emitted(25, [node("b"), address("d")], false), Vec::from_iter(node("b")));
        assert_eq!(emitted(60, [None, None], false), []);
        assert_eq!(emitted(60, [node("a"), None], true), []);
        assert_eq!(emitted(90, [node("a"), None], false), [], "known from the start");
    }
}
