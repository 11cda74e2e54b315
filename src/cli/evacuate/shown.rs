//! Shown: a forecast in words.

use std::fmt::Write as _;

use crate::report::{
    forecast::{Forecast, Unmoved},
    hindrance::listed,
    status::percent,
};

/// What an evacuation of a zone would do, as text of several lines.
pub(super) fn render(forecast: &Forecast, zone: &str) -> String {
    let Forecast { selected, services, endpoints, .. } = forecast;
    let mut text = format!(
        "{} of {} in {zone}: new connections go elsewhere.\n",
        counted(*endpoints, "ready endpoint"),
        counted(*services, "Service"),
    );
    if services < selected {
        let others = selected - services;
        let verb = if others == 1 { "has" } else { "have" };
        let _ = writeln!(
            text,
            "{} of {} {verb} none there that can be moved.",
            others,
            counted(*selected, "selected Service")
        );
    }
    if let Some((service, overload)) = &forecast.worst {
        let _ = writeln!(
            text,
            "Of what remains, {service} is loaded most:\n\
             its busiest endpoint is {} % above the even share of today.",
            percent(*overload)
        );
    }
    text.push_str("\nWhat hints cannot move:\n");
    text.push_str("  open connections, until they are closed\n");
    text.push_str("  load balancers that send to addresses of pods (IP targets)\n");
    if !forecast.without_zone.is_empty() {
        let nodes = listed(forecast.without_zone.iter().map(ToString::to_string));
        let _ = writeln!(
            text,
            "  clients on nodes without the label topology.kubernetes.io/zone: {nodes}"
        );
    }
    for (cause, services) in &forecast.unmoved {
        let services = listed(services.iter().map(ToString::to_string));
        let _ = writeln!(text, "  {}: {services}", words(*cause));
    }
    text
}

fn words(cause: Unmoved) -> &'static str {
    match cause {
        Unmoved::NothingElse => {
            "Services that have ready endpoints nowhere else, so they stay in use"
        }
        Unmoved::InternalLocal => "Services with internalTrafficPolicy: Local",
        Unmoved::ExternalLocal => {
            "traffic from outside to Services with externalTrafficPolicy: Local"
        }
        Unmoved::Headless => "headless Services, whose clients choose an address by themselves",
        Unmoved::OtherProxy => {
            "Services left to another proxy (label service.kubernetes.io/service-proxy-name)"
        }
        Unmoved::ForeignSlices => "Services with EndpointSlices of another controller",
        Unmoved::TooManyZones => "Services whose endpoints would need more than 8 names of zones",
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::ServiceKey;

    fn service(name: &str) -> ServiceKey {
        ServiceKey { namespace: "shop".into(), name: name.into() }
    }

    #[test]
    fn a_forecast_in_words() {
        let forecast = Forecast {
            selected: 4,
            services: 2,
            endpoints: 3,
            worst: Some((service("cart"), 1.0)),
            unmoved: [(Unmoved::Headless, [service("peers")].into())].into(),
            without_zone: vec!["worker-7".into()],
        };
        assert_eq!(
            render(&forecast, "zone-a"),
            "3 ready endpoints of 2 Services in zone-a: new connections go elsewhere.\n\
             2 of 4 selected Services have none there that can be moved.\n\
             Of what remains, shop/cart is loaded most:\n\
             its busiest endpoint is 100 % above the even share of today.\n\
             \n\
             What hints cannot move:\n  \
               open connections, until they are closed\n  \
               load balancers that send to addresses of pods (IP targets)\n  \
               clients on nodes without the label topology.kubernetes.io/zone: worker-7\n  \
               headless Services, whose clients choose an address by themselves: shop/peers\n"
        );
    }
}
