//! Text: the explanation for people. Nothing is wider than 100 columns.

use super::{
    Asked,
    layout::{WIDTH, percent, signed, table, wrapped},
    view::{From, ignores_hints},
};
use crate::{
    assess::{reason::Reason, share::ZoneShare},
    consumers::{consumer::Consumer, kube_proxy::Target},
    model::{
        name::Name,
        node::Node,
        policy::{DemandSource, Guard},
    },
    plain::plain,
    plan::{
        intent::{Mechanism, Source},
        policy::counts::float,
    },
    report::{
        advice::{advice, policy},
        hindrance,
        reach::Reached,
        row::{Ports, Row},
        tight::warnings,
    },
};

/// The explanation.
pub(super) fn render(asked: &Asked<'_>) -> String {
    let mut lines = vec![head(asked.row)];
    if let Some(policy) = policy(asked.row).filter(|_| asked.row.shadow.is_some()) {
        lines.push(String::new());
        let text =
            format!("What {policy} would bring about in mode Enforce. Nothing of it is in force:");
        lines.extend(wrapped(&text, "  ", "  "));
    }
    if let Some(node) = asked.from {
        endpoints(asked, node, &mut lines);
    } else if let [consumer @ (Consumer::Linkerd | Consumer::Cilium)] = asked.consumers[..] {
        other(asked, consumer, &mut lines);
    } else {
        zones(asked, &mut lines);
    }
    hindrances(asked, &mut lines);
    let is_shared = asked.row.ports.iter().any(|ports| ports.share.is_some());
    if asked.from.is_none() && asked.consumers.len() > 1 && is_shared {
        lines.push(String::new());
        for consumer in &asked.consumers {
            lines.extend(wrapped(&reading(asked, *consumer), "  ", "              "));
        }
    }
    lines.iter().map(|line| plain(line.trim_end()) + "\n").collect()
}

/// Which Service, what it prefers and why, its limit and its state.
fn head(row: &Row<'_>) -> String {
    let key = &row.service.key;
    let mut text = format!("{}.{}  {}", key.name, key.namespace, preference(row));
    if let Some(guard) = guard(row) {
        text.push_str(&guard);
    }
    let state = row.decision.state.to_string();
    let used = text.chars().count() + state.len();
    let gap = WIDTH.checked_sub(used).filter(|gap| *gap >= 2);
    gap.map_or_else(|| format!("{text}\n{state}"), |gap| text.clone() + &" ".repeat(gap) + &state)
}

fn preference(row: &Row<'_>) -> String {
    let intent = row.predicted_intent();
    let Some(prefers) = intent.prefers() else { return "prefers nothing".to_owned() };
    let policy = || row.policy().unwrap_or_default();
    let source = match intent.ruling.as_ref().map(|ruling| ruling.source) {
        Some(Source::Policy) => policy(),
        _ if intent.mechanism == Mechanism::Auto => {
            "service.kubernetes.io/topology-mode".to_owned()
        }
        _ => "spec.trafficDistribution".to_owned(),
    };
    format!("prefers {prefers} ({source})")
}

fn guard(row: &Row<'_>) -> Option<String> {
    let Guard { max_overload, .. } = row.predicted_intent().request()?.guard?;
    let policy = row.policy()?;
    let is_known = row.predicted_intent().ruling.as_ref()?.source == Source::Policy;
    let policy = if is_known { String::new() } else { format!(" ({policy})") };
    Some(format!(", guard +{max_overload} %{policy}"))
}

/// What becomes of the clients of each zone, by the rule of kube-proxy.
fn zones(asked: &Asked<'_>, lines: &mut Vec<String>) {
    let alike = alike(asked);
    let is_one = alike.len() == 1;
    for (titles, ports, rows) in alike {
        if !is_one || !rows.is_empty() {
            lines.push(String::new());
        }
        if !is_one {
            lines.push(format!("  {}: {}", titles.join("; "), ports.verdict.state));
        }
        if rows.is_empty() {
            continue;
        }
        let head = ["ZONE", "SENDS", "ENDPOINTS", "REACHES", "IN ZONE", "LOAD", "WHY"];
        table(&head, &[1, 2, 4, 5], &rows, lines);
        lines.push(String::new());
        lines.extend(wrapped(&stays(asked.row, ports), "  ", "  "));
    }
}

/// The titles of ports of which the same is said, the first of them, and what is said of each zone.
type Alike<'a> = (Vec<String>, &'a Ports, Vec<Vec<String>>);

/// The ports, with those together of which the same is said.
fn alike<'a>(asked: &Asked<'a>) -> Vec<Alike<'a>> {
    let mut groups: Vec<Alike<'a>> = Vec::new();
    for ports in &asked.row.ports {
        let (title, rows) = (title(asked, ports), zone_rows(asked, ports));
        let known = groups
            .iter_mut()
            .find(|(_, other, known)| other.verdict.state == ports.verdict.state && *known == rows);
        match known {
            Some((titles, ..)) => titles.push(title),
            None => groups.push((vec![title], ports, rows)),
        }
    }
    groups
}

fn title(asked: &Asked<'_>, ports: &Ports) -> String {
    hindrance::place(asked.row.service, &ports.ports, ports.verdict.family)
}

fn zone_rows(asked: &Asked<'_>, ports: &Ports) -> Vec<Vec<String>> {
    let Some((share, targets)) = ports.share.as_ref().zip(asked.row.targets(asked.index, ports))
    else {
        return Vec::new();
    };
    let row = |from: &From| {
        let reached = from.reach(Consumer::KubeProxy, asked, &targets);
        let why = from.reason(Consumer::KubeProxy, asked, ports);
        let none = || "-".to_owned();
        let zone = share.zones.iter().find(|it| Some(&it.zone) == from.zone.as_ref());
        let in_zone = from.zone.as_ref().map(|zone| percent(reached.in_zone(zone)));
        vec![
            place(from),
            zone.map_or_else(none, |zone| percent(zone.demand)),
            zone.map_or_else(none, |zone| zone.endpoints.to_string()),
            reaches(&reached, from),
            in_zone.unwrap_or_else(none),
            zone.and_then(|zone| zone.busiest).map_or_else(none, signed),
            zone.map_or_else(
                || why.to_string(),
                |zone| because(asked.row, why, zone, share.endpoints),
            ),
        ]
    };
    From::all(asked).iter().map(row).collect()
}

fn place(from: &From) -> String {
    from.zone.as_ref().map_or_else(|| "(none)".to_owned(), ToString::to_string)
}

fn reaches(reached: &Reached<'_>, from: &From) -> String {
    match (reached.near_and_far(from.zone.as_ref()), &from.zone) {
        ((0, 0), _) => "none".to_owned(),
        ((_, far), None) => format!("{far}"),
        ((near, 0), _) => format!("{near} own"),
        ((0, far), _) => format!("{far} other{}", if far == 1 { "" } else { "s" }),
        ((near, far), _) => {
            format!("{near} own, {far} other{}", if far == 1 { "" } else { "s" })
        }
    }
}

/// The reason, and what it is about in numbers.
fn because(row: &Row<'_>, why: Reason, zone: &ZoneShare, all: usize) -> String {
    let is_limited = matches!(why, Reason::Widened | Reason::Lent | Reason::OverloadExceeded);
    let alone = zone.demand * float(all) / float(zone.endpoints.max(1)) - 1.0;
    let guard = row.predicted_intent().request().and_then(|request| request.guard);
    match guard {
        Some(_) if is_limited && zone.endpoints > 0 && alone > 0.0 => {
            let would = if why == Reason::OverloadExceeded { "" } else { " it would carry" };
            format!("{why}: alone{would} {}", signed(alone))
        }
        Some(guard) if why == Reason::TooFewInZone => {
            format!("{why}: minEndpointsPerZone is {}", guard.min_per_zone)
        }
        _ => why.to_string(),
    }
}

/// How much of the traffic stays, and on what that is based.
fn stays(row: &Row<'_>, ports: &Ports) -> String {
    let Some(share) = &ports.share else { return String::new() };
    let even = |zone: &ZoneShare| zone.demand * float(zone.endpoints) / float(share.endpoints);
    let without: f64 = share.zones.iter().map(even).sum();
    let demand = match row.predicted_intent().request().map(|request| &request.demand) {
        None | Some(DemandSource::Equal) => "equal per zone",
        Some(DemandSource::Nodes) => "in proportion to the nodes of each zone",
        Some(DemandSource::Cpu) => "in proportion to the CPU of each zone",
        Some(DemandSource::Clients { .. }) => "in proportion to the client pods of each zone",
        Some(DemandSource::Shares(_)) => "in the proportions of demand.shares",
    };
    let is_shadow = row.shadow.is_some();
    let (stay, carry, all) = if is_shadow {
        ("would stay", "would carry", "would carry")
    } else {
        ("stays", "carries", "carry")
    };
    let busiest = match (share.overload * 100.0).round() {
        above if above > 0.0 => {
            format!(", and no endpoint {carry} more than {above:.0} % above the even share")
        }
        _ => format!(", and all endpoints {all} the same load"),
    };
    let (part, without) = (percent(share.in_zone), percent(without));
    format!(
        "{part} of the traffic {stay} in its zone ({without} without hints){busiest}. Demand is \
         assumed {demand}."
    )
}

/// What would help, and what stands in the way.
fn hindrances(asked: &Asked<'_>, lines: &mut Vec<String>) {
    for sentences in [warnings(asked.row), advice(asked.index, asked.row)] {
        if !sentences.is_empty() {
            lines.push(String::new());
            let sentences = sentences.iter().map(|line| format!("{line}."));
            lines.extend(sentences.flat_map(|line| wrapped(&line, "  ", "    ")));
        }
    }
    if let Some(why) = asked.row.decision.reasons.iter().find_map(|reason| unserved(*reason)) {
        lines.push(String::new());
        lines.extend(wrapped(why, "  ", "    "));
    }
    if !asked.row.hindrances.is_empty() {
        lines.push(String::new());
        let texts = asked.row.hindrances.iter().map(ToString::to_string);
        lines.extend(texts.flat_map(|text| wrapped(&text, "  ", "    ")));
    }
}

/// Why a Service is left alone.
fn unserved(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::ExternalName => {
            Some("ExternalName: the Service is an alias of another name, so it has no endpoints")
        }
        Reason::NoSelector => Some(
            "NoSelector: the Service selects no pods, so whoever writes its slices decides on hints",
        ),
        _ => None,
    }
}

/// How a consumer reads the slices, compared with kube-proxy.
fn reading(asked: &Asked<'_>, consumer: Consumer) -> String {
    let name = match consumer {
        Consumer::KubeProxy => "kube-proxy  ",
        Consumer::Linkerd => "Linkerd     ",
        Consumer::Cilium => "Cilium      ",
    };
    let differences = differences(asked, consumer);
    let is_local = asked.row.ports.iter().any(|ports| {
        let zones = ports.share.iter().flat_map(|share| &share.zones);
        zones.clone().any(|zone| zone.reachable < ports.share.as_ref().map_or(0, |it| it.endpoints))
    });
    let ignores = |ports: &Ports| ignores_hints(asked, &ports.verdict);
    let text = match consumer {
        Consumer::Cilium if asked.row.ports.iter().any(ignores) && is_local => {
            "all endpoints from every zone: it follows hints only if the Service itself sets \
             spec.trafficDistribution (ProxyIgnoresHints)"
                .to_owned()
        }
        _ if !differences.is_empty() => format!("otherwise: {}", differences.join("; ")),
        Consumer::Cilium if is_local => {
            "as above with loadBalancer.serviceTopology=true; without it, all endpoints from every zone \
             (ProxyIgnoresHints)"
                .to_owned()
        }
        _ => "as above".to_owned(),
    };
    format!("{name}{text}")
}

/// Where clients reach others by way of this consumer than by way of kube-proxy.
fn differences(asked: &Asked<'_>, consumer: Consumer) -> Vec<String> {
    let mut found = Vec::new();
    for ports in &asked.row.ports {
        let Some(targets) = asked.row.targets(asked.index, ports) else { continue };
        for from in From::all(asked) {
            let own = from.reach(consumer, asked, &targets);
            if own.endpoints != from.reach(Consumer::KubeProxy, asked, &targets).endpoints {
                let line = format!("{} reaches {}", place(&from), reaches(&own, &from));
                if !found.contains(&line) {
                    found.push(line);
                }
            }
        }
    }
    found
}

/// What the clients of each zone reach by way of a consumer that is not kube-proxy.
fn other(asked: &Asked<'_>, consumer: Consumer, lines: &mut Vec<String>) {
    for ports in &asked.row.ports {
        let Some(targets) = asked.row.targets(asked.index, ports) else { continue };
        let row = |from: &From| {
            let reached = from.reach(consumer, asked, &targets);
            let in_zone = from.zone.as_ref().map(|zone| percent(reached.in_zone(zone)));
            let in_zone = in_zone.unwrap_or_else(|| "-".to_owned());
            let why = from.reason(consumer, asked, ports).to_string();
            vec![place(from), reaches(&reached, from), in_zone, why]
        };
        let rows: Vec<_> = From::all(asked).iter().map(row).collect();
        lines.push(String::new());
        lines.push(format!("  {}, by way of {consumer}", title(asked, ports)));
        table(&["ZONE", "REACHES", "IN ZONE", "WHY"], &[2], &rows, lines);
    }
    if consumer == Consumer::Cilium {
        cilium(asked, lines);
    }
}

/// What Cilium requires to follow hints.
fn cilium(asked: &Asked<'_>, lines: &mut Vec<String>) {
    lines.push(String::new());
    let is_deaf = asked.row.ports.iter().any(|ports| ignores_hints(asked, &ports.verdict));
    let text = if is_deaf {
        "Cilium follows hints only if the Service itself sets spec.trafficDistribution."
    } else {
        "With Cilium, this requires loadBalancer.serviceTopology=true. Otherwise, clients reach all \
         endpoints."
    };
    lines.extend(wrapped(text, "  ", "  "));
}

/// The endpoints that a client on one node reaches, once for consumers that agree.
fn endpoints(asked: &Asked<'_>, node: &Node, lines: &mut Vec<String>) {
    let zone =
        node.zone.as_ref().map_or_else(|| "without zone".to_owned(), |it| format!("in {it}"));
    for ports in &asked.row.ports {
        let Some(targets) = asked.row.targets(asked.index, ports) else { continue };
        for from in From::all(asked) {
            let mut groups: Vec<(Vec<String>, (Reached<'_>, Reason))> = Vec::new();
            for consumer in asked.consumers.iter().copied() {
                let found = from.reach(consumer, asked, &targets);
                let found = (found, from.reason(consumer, asked, ports));
                match groups.iter_mut().find(|(_, other)| *other == found) {
                    Some((names, _)) => names.push(consumer.to_string()),
                    None => groups.push((vec![consumer.to_string()], found)),
                }
            }
            for (names, (reached, why)) in groups {
                let title = title(asked, ports);
                let names = names.join(", ");
                let reaches = reaches(&reached, &from);
                let text = format!(
                    "{title}, from {} {zone}, by way of {names}: {reaches} ({why})",
                    node.name
                );
                lines.push(String::new());
                lines.extend(wrapped(&text, "  ", "    "));
                let rows: Vec<_> = reached.endpoints.iter().map(endpoint).collect();
                if !rows.is_empty() {
                    table(&["POD", "ADDRESS", "NODE", "ZONE", "SHARE"], &[4], &rows, lines);
                }
            }
        }
    }
    let is_local = asked.row.ports.iter().filter_map(|ports| {
        let targets = asked.row.targets(asked.index, ports)?;
        let reached = From::all(asked).first()?.reach(Consumer::Cilium, asked, &targets);
        Some(reached.endpoints.len() < targets.usable().len())
    });
    let is_deaf = asked.row.ports.iter().any(|ports| ignores_hints(asked, &ports.verdict));
    if asked.consumers.contains(&Consumer::Cilium) && (is_deaf || is_local.into_iter().any(|it| it))
    {
        cilium(asked, lines);
    }
}

fn endpoint((target, share): &(Target<'_>, f64)) -> Vec<String> {
    let text = |name: Option<&Name>| name.map_or_else(|| "-".to_owned(), ToString::to_string);
    let endpoint = target.endpoint;
    let pod = endpoint.pod_name().map_or_else(|| "-".to_owned(), ToString::to_string);
    let (node, zone) = (text(endpoint.node.as_ref()), text(endpoint.zone.as_ref()));
    vec![pod, target.address.clone(), node, zone, percent(*share)]
}
