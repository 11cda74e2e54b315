//! Spec: what a policy requests, with every rule for its values.

use std::{collections::BTreeMap, time::Duration};

use super::{
    duration,
    field::{Field, Fields, Read},
    limits,
    prefer::prefer,
    selector::{selector, service_name, zone},
};
use crate::model::{
    name::Name,
    policy::{DemandSource, Guard, HOLD, Mode, PolicySpec, RELEASE_ABOVE_MAX, ServiceFilter},
};

/// The longest `hold`.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

/// The kinds whose specs this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// `LocalityPolicy`.
    Namespace,
    /// `ClusterLocalityPolicy`.
    Cluster,
}

impl Scope {
    fn known(self) -> &'static [&'static str] {
        const CLUSTER: [&str; 7] =
            ["services", "mode", "prefer", "guard", "demand", "rollout", "namespaceSelector"];
        match self {
            Self::Namespace => &CLUSTER[..6],
            Self::Cluster => &CLUSTER,
        }
    }
}

/// Reads what a policy requests; which Services it is for is read apart.
pub(super) fn spec(field: &Field<'_>, scope: Scope) -> Read<PolicySpec> {
    let fields = field.object(scope.known())?;
    let modes = [("Enforce", Mode::Enforce), ("Shadow", Mode::Shadow)];
    Ok(PolicySpec {
        mode: fields.read("mode", |field| field.word(&modes))?.unwrap_or_default(),
        prefer: fields.read("prefer", prefer)?,
        guard: fields.read("guard", guard)?,
        demand: fields.read("demand", |field| demand(field, scope))?.unwrap_or_default(),
        rollout: fields.read("rollout", rollout)?,
    })
}

/// Reads which Services a spec is for.
pub(super) fn services(field: &Field<'_>) -> Read<ServiceFilter> {
    let fields = field.object(&["names", "selector"])?;
    match (fields.get("names"), fields.get("selector")) {
        (Some(_), Some(_)) => Err(field.invalid("has names and a selector; give one of them")),
        (None, None) => Err(field.invalid(
            "is empty; give names or a selector, or leave `services` out for every Service",
        )),
        (None, Some(labels)) => Ok(ServiceFilter::Selector(selector(&labels)?)),
        (Some(names), None) => {
            let names = names.set("Service", limits::NAMES)?;
            let names = names.iter().map(|(field, text)| service_name(field, text));
            Ok(ServiceFilter::Names(names.collect::<Read<_>>()?))
        }
    }
}

fn guard(field: &Field<'_>) -> Read<Guard> {
    let fields = field.object(&[
        "maxOverloadPercent",
        "releaseOverloadPercent",
        "minEndpointsPerZone",
        "hold",
    ])?;
    let max = fields.required("maxOverloadPercent", "a guard has a limit from 0 to 1000")?;
    let max = whole(&max, limits::MAX_OVERLOAD)?;
    let release = fields.read("releaseOverloadPercent", |field| {
        let release = whole(field, u16::MAX)?;
        if release < max {
            let problem = format!(
                "is {release}, less than maxOverloadPercent, which is {max}; give at least {max}"
            );
            return Err(field.invalid(problem));
        }
        Ok(release)
    })?;
    let min = fields.read("minEndpointsPerZone", |field| field.whole(0, u32::MAX.into()))?;
    let hold = fields.read("hold", |field| {
        let text = field.short_text(limits::DURATION)?;
        let hold = duration::parse(text).ok_or_else(|| {
            field.invalid(format!("`{text}` is not a duration; write it like 30s, 2m or 1m30s"))
        })?;
        if hold > LONGEST_HOLD {
            return Err(field.invalid(format!("`{text}` is more than an hour; give at most 1h")));
        }
        Ok(hold)
    })?;
    Ok(Guard {
        max_overload: max,
        release_overload: release.unwrap_or_else(|| max.saturating_add(RELEASE_ABOVE_MAX)),
        min_per_zone: min.and_then(|min| u32::try_from(min).ok()).unwrap_or_default(),
        hold: hold.unwrap_or(HOLD),
    })
}

fn whole(field: &Field<'_>, most: u16) -> Read<u16> {
    let number = field.whole(0, most.into())?;
    Ok(u16::try_from(number).unwrap_or(most))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Equal,
    Nodes,
    Cpu,
    Clients,
    Shares,
}

fn demand(field: &Field<'_>, scope: Scope) -> Read<DemandSource> {
    let fields =
        field.object(&["source", "clientSelector", "clientNamespaceSelector", "shares"])?;
    let sources = [
        ("Equal", Source::Equal),
        ("Nodes", Source::Nodes),
        ("CPU", Source::Cpu),
        ("Clients", Source::Clients),
        ("Shares", Source::Shares),
    ];
    let source = fields.read("source", |field| field.word(&sources))?.unwrap_or(Source::Equal);
    for (name, owner, word) in [
        ("clientSelector", Source::Clients, "Clients"),
        ("clientNamespaceSelector", Source::Clients, "Clients"),
        ("shares", Source::Shares, "Shares"),
    ] {
        if let Some(field) = fields.get(name).filter(|_| source != owner) {
            let problem =
                format!("belongs to another source; leave it out, or write `source: {word}`");
            return Err(field.invalid(problem));
        }
    }
    match source {
        Source::Equal => Ok(DemandSource::Equal),
        Source::Nodes => Ok(DemandSource::Nodes),
        Source::Cpu => Ok(DemandSource::Cpu),
        Source::Clients => clients(&fields, scope),
        Source::Shares => {
            let field = fields.required("shares", "give each zone its share")?;
            Ok(DemandSource::Shares(shares(&field)?))
        }
    }
}

fn clients(fields: &Fields<'_>, scope: Scope) -> Read<DemandSource> {
    let pods = selector(&fields.required("clientSelector", "say which pods are the clients")?)?;
    let namespaces = fields.read("clientNamespaceSelector", |field| {
        if scope == Scope::Namespace {
            let problem = "is for a ClusterLocalityPolicy only; leave it out: the clients are in the policy's namespace";
            return Err(field.invalid(problem));
        }
        selector(field)
    })?;
    Ok(DemandSource::Clients { pods, namespaces })
}

fn shares(field: &Field<'_>) -> Read<BTreeMap<Name, f64>> {
    let mut shares = BTreeMap::new();
    for (name, entry) in field.entries(limits::SHARES)? {
        let share = entry.number()?;
        if share.is_nan() || share < 0.0 {
            return Err(entry.invalid(format!("is {share}; a share is 0 or more")));
        }
        shares.insert(zone(&entry, name)?, share);
    }
    if shares.values().sum::<f64>() > 0.0 {
        Ok(shares)
    } else {
        Err(field.invalid("gives no zone a share; give at least one that is more than 0"))
    }
}

fn rollout(field: &Field<'_>) -> Read<Vec<Name>> {
    let fields = field.object(&["zones"])?;
    let field = fields.required("zones", "name the zones that are kept local so far")?;
    zones(&field, limits::ROLLOUT_ZONES)
}

/// Reads a list of up to so many zones.
pub(super) fn zones(field: &Field<'_>, most: usize) -> Read<Vec<Name>> {
    let zones = field.set("zone", most)?;
    zones.iter().map(|(field, text)| zone(field, text)).collect()
}
