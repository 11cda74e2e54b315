//! Faults of a pile.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Member;
use crate::{
    FakeApi,
    collections::{CUSTOM, PODS, SERVICES, SLICES},
    dice::Dice,
    faults::{Effect, on, on_streaming, on_watch},
    rig::SECOND,
};

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Connections break before a write.
    Refused,
    /// Writes are neither done nor answered.
    Hung,
    /// Writes are done and not answered.
    AnswerLost,
    /// Writes are done late.
    Slow,
    /// Writes are answered late.
    AnswerSlow,
    /// 409.
    Conflict,
    /// 429 with a time.
    TooMany,
    /// 500.
    Failed,
    /// 503.
    Unavailable,
    /// 504.
    TimedOut,
    /// 500 for a write that was done.
    FailedAfterDone,
    /// 422.
    Invalid,
    /// Watches end at once.
    WatchClosed,
    /// A watch falls silent.
    WatchSilent,
    /// Watches of a kind lag behind.
    WatchHeld,
    /// Watches may not be resumed.
    WatchRefused,
    /// Each event comes twice.
    WatchRepeated,
    /// Bookmarks without a version.
    BlankBookmarks,
    /// Watches break in the middle of an event.
    WatchTruncated,
    /// Watches send little at a time.
    WatchThrottled,
    /// Lists take long.
    ListSlow,
    /// The past is forgotten, and all watches end.
    Compacted,
    /// A replica is cut off.
    CutOff,
    /// The machine of a replica is suspended for longer than the lease lasts.
    Suspended,
    /// Policies or evacuations may not be read.
    PoliciesForbidden,
}

/// For longer than a lease lasts.
const SUSPENSION: Duration = Duration::from_secs(30);

impl Fault {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Refused,
        Self::Hung,
        Self::AnswerLost,
        Self::Slow,
        Self::AnswerSlow,
        Self::Conflict,
        Self::TooMany,
        Self::Failed,
        Self::Unavailable,
        Self::TimedOut,
        Self::FailedAfterDone,
        Self::Invalid,
        Self::WatchClosed,
        Self::WatchSilent,
        Self::WatchHeld,
        Self::WatchRefused,
        Self::WatchRepeated,
        Self::BlankBookmarks,
        Self::WatchTruncated,
        Self::WatchThrottled,
        Self::ListSlow,
        Self::Compacted,
        Self::CutOff,
        Self::Suspended,
        Self::PoliciesForbidden,
    ];

    /// Those of writes.
    pub const OF_WRITES: &[Self] = Self::ALL.split_at(12).0;
    /// The others.
    pub const OF_THE_REST: &[Self] = Self::ALL.split_at(12).1;
}

/// A fault, and where it strikes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// What fails.
    pub fault: Fault,
    /// A fault of writes: whose slices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// The method; any if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    method: String,
    /// A fault of watches: the collection.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    collection: String,
    /// Whether a refusal comes from a webhook.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_webhook: bool,
    /// A fault of a replica: which one.
    #[serde(default, skip_serializing_if = "is_first")]
    replica: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_first(replica: &usize) -> bool {
    *replica == 0
}

impl Trouble {
    /// A fault that strikes at random. Only the slices of these Services are affected.
    pub fn random(fault: Fault, services: &[&str], dice: &mut Dice) -> Self {
        let is_write = Fault::OF_WRITES.contains(&fault);
        let mut trouble = Self {
            fault,
            services: Vec::new(),
            method: String::new(),
            collection: String::new(),
            by_webhook: fault == Fault::Invalid && dice.one_in(2),
            replica: 0,
        };
        match fault {
            _ if is_write => {
                dice.pick(&["POST", "PUT", "DELETE", ""]).clone_into(&mut trouble.method);
                let mut services: Vec<_> = (0..4).map(|_| dice.pick(services).to_owned()).collect();
                services.sort_unstable();
                services.dedup();
                trouble.services = services;
            }
            Fault::CutOff | Fault::Suspended => trouble.replica = usize::from(dice.one_in(2)),
            Fault::Compacted => {}
            Fault::PoliciesForbidden => dice.pick(&CUSTOM).clone_into(&mut trouble.collection),
            _ => dice.pick(&[PODS, SLICES, SERVICES]).clone_into(&mut trouble.collection),
        }
        trouble
    }

    /// Begins it.
    pub fn begin(&self, api: &FakeApi, replicas: &[Member; 2]) {
        let write = |effect: Effect| {
            for service in &self.services {
                let slices = on(self.method.clone(), "/endpointslices");
                api.fault(slices.service(service.clone()), effect.clone());
            }
        };
        let watches = || on_watch(format!("/{}", self.collection));
        match self.fault {
            Fault::Refused => write(Effect::Refuse),
            Fault::Hung => write(Effect::Hang),
            Fault::AnswerLost => write(Effect::DoAndHang),
            Fault::Slow => write(Effect::Delay(2 * SECOND)),
            Fault::AnswerSlow => write(Effect::DoAndDelay(2 * SECOND)),
            Fault::Conflict => write(Effect::Answer(409)),
            Fault::TooMany => write(Effect::TooMany(1)),
            Fault::Failed => write(Effect::Answer(500)),
            Fault::Unavailable => write(Effect::Answer(503)),
            Fault::TimedOut => write(Effect::Answer(504)),
            Fault::FailedAfterDone => write(Effect::DoAndAnswer(500)),
            Fault::Invalid => write(Effect::Invalid {
                field: "endpoints[0].zone".to_owned(),
                value: String::new(),
                by_webhook: self.by_webhook,
            }),
            Fault::WatchClosed => api.fault(watches(), Effect::CloseAtOnce),
            Fault::WatchSilent => api.fault(watches().times(1), Effect::Silence),
            Fault::WatchHeld => api.hold(&self.collection),
            Fault::WatchRefused => api.fault(watches().times(3), Effect::Answer(500)),
            Fault::WatchRepeated => api.fault(watches(), Effect::Repeat),
            Fault::BlankBookmarks => api.fault(watches(), Effect::BlankBookmarks),
            Fault::WatchTruncated => api.fault(watches(), Effect::Truncate),
            Fault::WatchThrottled => api.fault(watches(), Effect::Throttle(500)),
            Fault::ListSlow => {
                let lists = on_streaming(format!("/{}", self.collection));
                // For longer than it takes until another replica leads.
                api.fault(lists, Effect::Delay(40 * SECOND));
            }
            Fault::Compacted => {
                api.compact();
                api.end_watches();
            }
            Fault::CutOff => replicas[self.replica].replica.rig.api.cut_off(),
            Fault::Suspended => replicas[self.replica].suspend(SUSPENSION),
            Fault::PoliciesForbidden => {
                api.fault(on("GET", format!("/{}", self.collection)), Effect::Answer(403));
            }
        }
        // A fault of watches strikes when they begin.
        if !self.collection.is_empty() && self.fault != Fault::WatchHeld {
            api.end_watches();
        }
    }
}
