//! Group: the endpoints that are planned together. They are of one Service and one address type,
//! and the ports of the Service that they resolve are the same.

use std::{borrow::Cow, net::IpAddr};

use super::outcome::ChosenNode;
use crate::model::name::{Name, ServiceKey, Uid};

/// The endpoints that are planned together.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The Service.
    pub service: &'a ServiceKey,
    /// The endpoints. Their order does not matter.
    pub candidates: Vec<Candidate<'a>>,
    /// Whether the ready endpoints are those of the same pods as in the other address type, for
    /// which a plan has been made. That plan is taken over then.
    pub is_twin: bool,
}

/// An endpoint that needs hints.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What tells it apart.
    pub key: Identity<'a>,
    /// Its zone.
    pub zone: Option<&'a Name>,
    /// Its node.
    pub node: Option<&'a Name>,
    /// Whether proxies see it as ready.
    pub is_ready: bool,
    /// The zones that its hints in force name. Empty if it stands in a slice without such hints;
    /// `None` if it is new.
    pub in_force: Option<&'a [Name]>,
    /// The node that its hints in force name.
    pub node_in_force: ChosenNode,
    /// The zones that the plan for the other address type names for the same pod. Empty if it names
    /// none; `None` if there is no such plan or no such pod.
    pub other_family: Option<&'a [Name]>,
}

/// What tells an endpoint apart, in both address types if it is a pod. It is written out only where
/// endpoints are put in order.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'a> {
    /// The UID of its pod.
    Pod(&'a Uid),
    /// Its address, without a pod.
    Address(IpAddr),
    /// Anything else, as text.
    Text(&'a str),
}

impl<'a> Identity<'a> {
    /// As text.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Self::Pod(Uid::Text(text)) => Cow::Borrowed(text),
            Self::Pod(uid) => Cow::Owned(uid.into()),
            Self::Address(address) => Cow::Owned(address.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}
