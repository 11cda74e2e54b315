//! Offers: what an adviser says about Services that request nothing: what
//! `trafficDistribution: PreferSameZone` would bring about. Each is logged when it changes.

use tracing::info;

use super::Controller;
use crate::{
    model::name::ServiceKey,
    report::{numbers::Numbers, row::Offer, status::percent},
};

impl Controller {
    /// Logs what a preference would bring about for a Service that was planned, if it requests none.
    pub(super) fn offer(&mut self, key: &ServiceKey) {
        let Some(service) = self.index.service(key) else { return };
        let is_idle = self.index.intent(key).is_some_and(|intent| !intent.prefers_locality());
        let offer = || Offer::of(&self.index, service, self.settings.plan);
        let Some(offer) = is_idle.then(offer).flatten() else { return };
        let Some(progress) = self.progress.get_mut(key) else { return };
        if progress.offered.as_ref() == Some(&offer.decision) {
            return;
        }
        let Offer { decision, numbers: Numbers { in_zone, overload } } = offer;
        info!(
            namespace = %key.namespace, service = %key.name,
            state = %decision.state, reason = %decision.reason(), reasons = ?decision.reasons,
            in_zone_percent = in_zone.map(percent), overload_percent = overload.map(percent),
            "what trafficDistribution: PreferSameZone would bring about for a Service"
        );
        progress.offered = Some(decision);
    }
}
