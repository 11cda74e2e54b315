//! Words: what an Event says.

use crate::{
    assess::reason::Reason,
    report::news::{EvacuationNews, News},
};

impl News {
    /// The reporting controller. The reasons of the built-in controller come with its name, by which
    /// users may search for them. The instance shows in any case that it was closehaul.
    pub(super) fn controller(&self) -> &'static str {
        match self {
            Self::UpdateFailed(_) | Self::AutoHints | Self::NoAutoHints(_) | Self::AutoRemoved => {
                "endpoint-slice-controller"
            }
            _ => "closehaul",
        }
    }

    pub(super) fn reason(&self) -> String {
        match self {
            Self::UpdateFailed(_) => "FailedToUpdateEndpointSlices".to_owned(),
            Self::AutoHints => "TopologyAwareHintsEnabled".to_owned(),
            Self::NoAutoHints(_) | Self::AutoRemoved => "TopologyAwareHintsDisabled".to_owned(),
            Self::Ineffective { reason, .. } => reason.to_string(),
            Self::Effective => Reason::Applied.to_string(),
            Self::NodeMissing { .. } => Reason::NodeMissing.to_string(),
            Self::AddressNotAllowed { .. } => Reason::AddressNotAllowed.to_string(),
            Self::WriteRefused(_) => Reason::WriteRefused.to_string(),
            Self::Overwritten | Self::HintsOverwritten => {
                Reason::OverwrittenByOtherController.to_string()
            }
            Self::Evacuation(news) => news.reason(),
        }
    }

    pub(super) fn is_warning(&self) -> bool {
        match self {
            Self::Evacuation(news) => {
                matches!(news, EvacuationNews::Incomplete(_) | EvacuationNews::Unread { .. })
            }
            news => !matches!(news, Self::AutoHints | Self::Effective),
        }
    }

    /// What closehaul was about to do.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::UpdateFailed(_) | Self::WriteRefused(_) | Self::Overwritten => "WriteSlices",
            Self::NodeMissing { .. } | Self::AddressNotAllowed { .. } => "ListEndpoints",
            Self::Evacuation(_) => "EvacuateZone",
            _ => "PlaceHints",
        }
    }

    pub(super) fn note(&self) -> String {
        match self {
            Self::UpdateFailed(cause) => {
                format!("The EndpointSlices cannot be written, retrying: {cause}")
            }
            Self::AutoHints => "Hints by the topology annotation are in force".to_owned(),
            Self::NoAutoHints(reason) => format!(
                "Hints by the topology annotation are not in force: {}",
                reason.map_or("the CPU of a node is not known", meaning)
            ),
            Self::AutoRemoved => {
                "Hints by the topology annotation are no longer in force: it is gone".to_owned()
            }
            Self::Ineffective { reason, detail } => {
                let detail = detail.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
                format!("Traffic is not kept local as requested: {}{detail}", meaning(*reason))
            }
            Self::Effective => "Traffic is kept local as requested".to_owned(),
            Self::NodeMissing { pod, others: 0 } => {
                format!("Pod {pod} is left out of the EndpointSlices: its node is not known")
            }
            Self::NodeMissing { pod, others } => format!(
                "Pod {pod} and {others} more are left out of the EndpointSlices: their nodes are \
                 not known"
            ),
            Self::AddressNotAllowed { pod, address, others } => {
                let left_out = match others {
                    0 => "is left out".to_owned(),
                    others => format!("and {others} more are left out"),
                };
                format!(
                    "Address {address} of pod {pod} {left_out} of the EndpointSlices: the API \
                     server rejects slices with unspecified, loopback or link-local addresses"
                )
            }
            Self::WriteRefused(cause) => {
                format!("An EndpointSlice differs from the plan, retrying: {cause}")
            }
            Self::Overwritten => "Another controller writes the EndpointSlices, too: is the \
                                  endpointslice-controller of kube-controller-manager still on, or \
                                  a second closehaul installed?"
                .to_owned(),
            Self::HintsOverwritten => "Another controller overwrites the hints again and again, so they \
                                       are left to it for ten minutes or longer: are the \
                                       MutatingAdmissionPolicy closehaul-hints and its binding as the \
                                       chart installs them, and does no webhook change EndpointSlices?"
                .to_owned(),
            Self::Evacuation(news) => news.note(),
        }
    }
}

impl EvacuationNews {
    fn reason(&self) -> String {
        match self {
            Self::Began { .. } => "EvacuationBegan".to_owned(),
            Self::Ended | Self::Deleted => "EvacuationEnded".to_owned(),
            Self::Incomplete(_) => "EvacuationIncomplete".to_owned(),
            Self::Unread { reason, .. } => reason.clone(),
        }
    }

    fn note(&self) -> String {
        match self {
            Self::Began { zones, until, why } => {
                let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                format!("New connections are kept out of {} until {until}{why}", zones.join(", "))
            }
            Self::Ended => "The time is over: traffic may go to the zones again".to_owned(),
            Self::Deleted => {
                "The evacuation was deleted: traffic may go to its zones again".to_owned()
            }
            Self::Incomplete(message) => format!("Not all traffic can be moved: {message}"),
            Self::Unread { message, .. } => format!("Nothing is evacuated: {message}"),
        }
    }
}

/// A reason in words.
fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::SingleZone => "all nodes are in one zone",
        Reason::TooFewInZone => "there are fewer ready endpoints than zones",
        Reason::ZoneEmpty => "a zone has no ready endpoint",
        Reason::OverloadExceeded => "the endpoints of a zone would be overloaded",
        Reason::EndpointWithoutZone => "a ready endpoint has no zone, as its node has none",
        Reason::NodeMissing => "a pod's node is not known",
        Reason::AddressNotAllowed => "a pod has an address that slices must not contain",
        Reason::WriteRefused => "the API server rejects an EndpointSlice as invalid",
        Reason::OutsideAdmission => "no admission policy would keep hints in its EndpointSlices",
        Reason::NodeWithoutZoneLabel => "a node has no label topology.kubernetes.io/zone",
        Reason::ForeignSliceWithoutHints => {
            "an EndpointSlice of another manager has ready endpoints without hints"
        }
        Reason::OverwrittenByOtherController => "another controller writes the EndpointSlices, too",
        Reason::TrafficPolicyLocal => "hints are ignored under the traffic policy Local",
        Reason::Headless => "no proxy sees a headless Service",
        Reason::HiddenFromProxy => "the Service is left to another proxy by a label",
        Reason::NoMatchingPods => "the selector matches no pod",
        Reason::NoSuchPort => "no pod declares the port that the Service names",
        Reason::NoAddressInFamily => "no pod has an address of this family",
        Reason::NothingReady => "no endpoint is ready",
        Reason::ProxyIgnoresHints => "the proxy does not read hints",
        Reason::ExternalName => "the Service is an alias",
        Reason::NoSelector => "the Service has no selector",
        Reason::LegacyAnnotationWins => "the topology annotation takes precedence",
        Reason::NoPreference => "no locality is requested",
        Reason::OptedOut => "the Service or its policy opts out",
        Reason::Shadow => "the policy is only reported",
        Reason::Conflicted => "two policies of the same rank are for the Service",
        Reason::PolicyUnknown => "what the policy requests is not known",
        Reason::PolicyNotFound => "the annotation names a policy that does not exist",
        Reason::PolicyInvalid => "the policy is invalid",
        Reason::Widened => "endpoints of other zones serve a zone, too, to keep within the limit",
        Reason::Evacuated => "a zone is evacuated",
        Reason::RolloutPending => "a zone is not kept local yet",
        Reason::Held => "a better plan waits until the present one has stood long enough",
        Reason::TooManyZones => "an endpoint would need more names than it may have",
        Reason::Applied | Reason::Lent => "hints are in force",
    }
}
