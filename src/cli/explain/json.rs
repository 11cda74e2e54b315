//! JSON: the explanation for scripts. Its shape is a contract: fields may be added, and none may go.

use serde::Serialize;

use super::{Asked, view::From};
use crate::{
    consumers::{
        consumer::Consumer,
        kube_proxy::{Mode, Target},
    },
    model::name::Name,
    report::{
        advice::advice,
        hindrance::{Hindrance, port_name},
        numbers::rounded,
        row::Ports,
        tight::warnings,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    namespace: &'a str,
    name: &'a str,
    prefer: Option<String>,
    policy: Option<String>,
    state: String,
    reasons: Vec<String>,
    in_zone_share: Option<f64>,
    overload: Option<f64>,
    hindrances: Vec<HindranceBody<'a>>,
    help: Vec<String>,
    warnings: Vec<String>,
    consumers: Vec<ConsumerBody>,
}

#[derive(Serialize)]
struct HindranceBody<'a> {
    reason: String,
    detail: &'a str,
}

#[derive(Serialize)]
struct ConsumerBody {
    consumer: String,
    /// The setting of its installation with which this holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    assumes: Option<&'static str>,
    from: Vec<FromBody>,
}

#[derive(Serialize)]
struct FromBody {
    node: Option<String>,
    zone: Option<String>,
    port: String,
    family: String,
    mode: &'static str,
    endpoints: Vec<EndpointBody>,
    reason: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointBody {
    pod: Option<String>,
    address: String,
    target_port: i32,
    node: Option<String>,
    zone: Option<String>,
    share: f64,
}

/// The explanation.
pub(super) fn render(asked: &Asked<'_>) -> Result<String, serde_json::Error> {
    let row = asked.row;
    let body = Body {
        namespace: &row.service.key.namespace,
        name: &row.service.key.name,
        prefer: row.prefer().map(Into::into),
        policy: row.policy(),
        state: row.decision.state.to_string(),
        reasons: row.decision.reasons.iter().map(ToString::to_string).collect(),
        in_zone_share: row.in_zone().map(rounded),
        overload: row.overload().map(rounded),
        hindrances: row.hindrances.iter().map(hindrance).collect(),
        help: advice(asked.index, row),
        warnings: warnings(row),
        consumers: asked.consumers.iter().map(|it| consumer(asked, *it)).collect(),
    };
    Ok(serde_json::to_string_pretty(&body)? + "\n")
}

fn hindrance(it: &Hindrance) -> HindranceBody<'_> {
    HindranceBody { reason: it.reason.to_string(), detail: &it.detail }
}

fn consumer(asked: &Asked<'_>, consumer: Consumer) -> ConsumerBody {
    let of_ports = |ports| from(asked, consumer, ports);
    ConsumerBody {
        consumer: consumer.to_string(),
        assumes: (consumer == Consumer::Cilium).then_some("loadBalancer.serviceTopology=true"),
        from: asked.row.ports.iter().flat_map(of_ports).collect(),
    }
}

/// One body for each of these ports and each place of clients.
fn from(asked: &Asked<'_>, consumer: Consumer, ports: &Ports) -> Vec<FromBody> {
    let mut bodies = Vec::new();
    let named = ports.ports.iter().filter_map(|at| asked.row.service.ports.get(*at));
    for port in named {
        // Ports with the same endpoints may lead to other numbers there.
        let Some(targets) = asked.row.targets_of(asked.index, ports, port) else { continue };
        for from in From::all(asked) {
            let reached = from.reach(consumer, asked, &targets);
            bodies.push(FromBody {
                node: from.node.as_ref().map(ToString::to_string),
                zone: from.zone.as_ref().map(ToString::to_string),
                port: port_name(port),
                family: ports.verdict.family.to_string(),
                mode: mode(reached.mode),
                endpoints: reached.endpoints.iter().map(endpoint).collect(),
                reason: from.reason(consumer, asked, ports).to_string(),
            });
        }
    }
    bodies
}

fn endpoint((target, share): &(Target<'_>, f64)) -> EndpointBody {
    let text = |name: Option<&Name>| name.map(ToString::to_string);
    EndpointBody {
        pod: target.endpoint.pod_name().map(ToString::to_string),
        address: target.address.clone(),
        target_port: target.port,
        node: text(target.endpoint.node.as_ref()),
        zone: text(target.endpoint.zone.as_ref()),
        share: rounded(*share),
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Node => "node",
        Mode::Zone => "zone",
        Mode::Cluster => "cluster",
        Mode::None => "none",
    }
}
