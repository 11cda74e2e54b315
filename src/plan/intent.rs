//! Intent: what is requested for a Service. It is resolved once, when the Service or something that
//! it follows from changes, and stored with the Service. Everything that depends on it reads it from
//! there or from the plan.
//!
//! Without policy and evacuation, it follows from the Service's own fields alone ([`Intent::of`]).
//! [`resolve`] adds what policies and evacuations request (docs/planner.md 9).

mod resolve;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc};

pub use self::resolve::{is_deaf, resolve};
use super::policy::request::{Request, Standing};
use crate::model::{
    policy::{Key, PolicyRef},
    service::{Service, TrafficDistribution},
};

/// What is requested for a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// How its hints are chosen where there is no [`Self::request`].
    pub mechanism: Mechanism,
    /// What policies and evacuations have to do with it; `None` if they have nothing.
    pub ruling: Option<Arc<Ruling>>,
}

/// What policies and evacuations have to do with a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// The policy that decides.
    pub policy: Option<PolicyRef>,
    /// What is preferred, from fine to coarse, whether or not readers can follow it. Empty for
    /// nothing.
    pub keys: Vec<Key>,
    /// Where that comes from.
    pub source: Source,
    /// What the hints must satisfy beyond what upstream's do; `None` for nothing.
    pub request: Option<Request>,
    /// A policy in mode `Shadow` that comes before the one that decides.
    pub shadow: Option<Shadow>,
    /// What else must be reported, the most important first.
    pub notes: Vec<Note>,
}

/// What a policy in mode `Shadow` would bring about.
#[derive(Clone, Debug, PartialEq)]
pub struct Shadow {
    /// The policy.
    pub policy: PolicyRef,
    /// What would be requested if it decided.
    pub intent: Box<Intent>,
}

/// Where a preference comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// No preference is requested.
    Nowhere,
    /// `spec.trafficDistribution` of the Service.
    Field,
    /// The legacy annotation of the Service.
    LegacyAnnotation,
    /// `prefer` of the policy.
    Policy,
}

/// What must be reported about the policies of a Service besides the one that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Note {
    /// The policy that would decide has a field or a value that this version does not know, or it is
    /// not known whether it is for the Service. What it requests is unknown (docs/planner.md 9).
    PolicyUnknown,
    /// The policy that would decide is invalid, so what it requests is unknown as well.
    PolicyInvalid,
    /// The annotation names a policy that does not exist.
    PolicyNotFound,
    /// The annotation or the policy says that nothing is requested.
    OptedOut,
    /// Another policy of the same rank is for the Service, too.
    Conflicted,
}

impl Intent {
    /// The intent of `service` by its own fields. The legacy annotation comes before
    /// `spec.trafficDistribution` (docs/semantics.md 5.1).
    pub fn of(service: &Service) -> Self {
        let distribution = service.traffic_distribution.map(Preference::of);
        let mechanism = if service.auto {
            Mechanism::Auto
        } else {
            distribution.map_or(Mechanism::Off, Mechanism::TrafficDistribution)
        };
        Self { mechanism, ruling: None }
    }

    /// Whether other hints are requested than those that the Service's own fields stand for.
    pub fn is_beyond(&self, service: &Service) -> bool {
        self.request().is_some() || self.mechanism != Self::of(service).mechanism
    }

    /// What the hints must satisfy beyond what upstream's do, if anything.
    pub fn request(&self) -> Option<&Request> {
        self.ruling.as_ref()?.request.as_ref()
    }

    /// Whether this differs from another intent at most in whether a plan for it is known to be in
    /// force. That is no reason for a new plan.
    pub fn requests_the_same(&self, other: &Self) -> bool {
        let bare = |intent: &Self| {
            let mut intent = intent.clone();
            intent.forget_standing();
            intent
        };
        self == other || (self.ruling.is_some() && bare(self) == bare(other))
    }

    fn forget_standing(&mut self) {
        let Some(ruling) = self.ruling.as_mut().map(Arc::make_mut) else { return };
        if let Some(request) = &mut ruling.request {
            request.standing = Standing::New;
        }
        if let Some(shadow) = &mut ruling.shadow {
            shadow.intent.forget_standing();
        }
    }

    /// What a policy in mode `Shadow` would request, if there is one.
    pub fn shadow(&self) -> Option<&Self> {
        Some(&*self.ruling.as_ref()?.shadow.as_ref()?.intent)
    }

    /// Whether a zone is evacuated.
    pub fn is_evacuated(&self) -> bool {
        self.request().is_some_and(|request| !request.evacuated.is_empty())
    }

    /// The policy that decides.
    pub fn policy(&self) -> Option<&PolicyRef> {
        self.ruling.as_ref()?.policy.as_ref()
    }

    /// The policy to show: the one in mode `Shadow`, if there is one, else the one that decides.
    pub fn shown_policy(&self) -> Option<&PolicyRef> {
        let shadow = self.ruling.as_ref().and_then(|ruling| ruling.shadow.as_ref());
        shadow.map(|shadow| &shadow.policy).or_else(|| self.policy())
    }

    /// What is requested, whether or not hints can bring it about: a policy changes nothing for a
    /// headless Service, but it still requests locality.
    pub fn requested(&self) -> Mechanism {
        match &self.ruling {
            Some(ruling) if ruling.source == Source::Policy => Mechanism::of(&ruling.keys),
            _ => self.mechanism,
        }
    }

    /// What must be reported about policies.
    pub fn notes(&self) -> &[Note] {
        self.ruling.as_ref().map_or(&[], |ruling| &ruling.notes)
    }

    /// Whether it is not known what policies request, so that hints must stay as they are.
    pub fn is_unknown(&self) -> bool {
        let is_doubt = |note: &Note| matches!(note, Note::PolicyUnknown | Note::PolicyInvalid);
        self.request().is_none() && self.notes().iter().any(is_doubt)
    }

    /// Whether any preference for locality is requested.
    pub fn prefers_locality(&self) -> bool {
        self.requested() != Mechanism::Off
    }

    /// What is preferred, in words, if anything; the same everywhere.
    pub fn prefers(&self) -> Option<Cow<'static, str>> {
        match &self.ruling {
            Some(ruling) if ruling.source == Source::Policy => words(&ruling.keys).map(Cow::Owned),
            _ => self.mechanism.prefers().map(Cow::Borrowed),
        }
    }
}

/// Keys in words: `Node`, which implies the zone, or `Zone,Region`.
fn words(keys: &[Key]) -> Option<String> {
    let keys = if keys == [Key::Node, Key::Zone] { &keys[..1] } else { keys };
    let words: Vec<&str> = keys.iter().map(Key::as_str).collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// How the hints of a Service are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// The legacy annotation: by CPU share.
    Auto,
    /// As `spec.trafficDistribution` requests it.
    TrafficDistribution(Preference),
    /// No hints.
    Off,
}

impl Mechanism {
    /// What it prefers, if anything; the same word everywhere.
    pub fn prefers(self) -> Option<&'static str> {
        match self {
            Self::Auto => Some("Auto"),
            Self::TrafficDistribution(Preference::Node) => Some("Node"),
            Self::TrafficDistribution(Preference::Zone) => Some("Zone"),
            Self::Off => None,
        }
    }

    /// What comes closest to these keys without a [`Request`].
    fn of(keys: &[Key]) -> Self {
        if keys.first() == Some(&Key::Node) {
            Self::TrafficDistribution(Preference::Node)
        } else if keys.contains(&Key::Zone) {
            Self::TrafficDistribution(Preference::Zone)
        } else {
            Self::Off
        }
    }
}

/// What a Service prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preference {
    /// `PreferSameZone`, or `PreferClose`, its older name.
    Zone,
    /// `PreferSameNode`, then the zone.
    Node,
}

impl Preference {
    /// The preference that a Service's value stands for.
    pub fn of(distribution: TrafficDistribution) -> Self {
        match distribution {
            TrafficDistribution::PreferClose | TrafficDistribution::PreferSameZone => Self::Zone,
            TrafficDistribution::PreferSameNode => Self::Node,
        }
    }

    /// The keys that it stands for.
    fn keys(self) -> Vec<Key> {
        match self {
            Self::Zone => vec![Key::Zone],
            Self::Node => vec![Key::Node, Key::Zone],
        }
    }
}
