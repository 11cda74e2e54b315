//! Change: what a change of a Service consists of.

use serde_json::{Value, json};

use super::{
    objects,
    shape::{Change, Selector, Shape},
};

/// Whether the API server accepts such a Service.
pub fn is_valid(shape: &Shape) -> bool {
    shape.ports != objects::NO_PORTS || shape.headless || shape.external
}

/// The patch of the change; `None` if nothing changes or it is refused.
pub fn changed(shape: &mut Shape, change: &Change) -> Option<Value> {
    let before = shape.clone();
    let patch = match change {
        Change::Selector(selector) => {
            shape.selector = *selector;
            json!({"spec": {"selector": objects::selector(*selector)}})
        }
        Change::SelectorAndLabels(selector, labels) => {
            (shape.selector, shape.labels) = (*selector, *labels);
            let labels = objects::labels(*labels);
            json!({
                "metadata": {"labels": labels},
                "spec": {"selector": objects::selector(*selector)},
            })
        }
        Change::Ports(ports) => {
            shape.ports = *ports;
            json!({"spec": {"ports": objects::ports(*ports)}})
        }
        Change::External(external) => {
            shape.external = *external;
            json!({"spec": objects::kind(shape)})
        }
        Change::Dual(_) if shape.external => return None,
        Change::Dual(dual) => {
            shape.dual = *dual;
            let kind = objects::kind(shape);
            let policy = &kind["ipFamilyPolicy"];
            // If the other family is not named, the server removes it.
            let families =
                if *dual { json!({"ipFamilies": kind["ipFamilies"]}) } else { json!({}) };
            let mut spec = families;
            spec["ipFamilyPolicy"] = policy.clone();
            json!({"spec": spec})
        }
        Change::Publish(publish) => {
            shape.publish = *publish;
            json!({"spec": {"publishNotReadyAddresses": publish}})
        }
        Change::Distribution(distribution) => {
            shape.distribution = *distribution;
            json!({"spec": {"trafficDistribution": objects::distribution(*distribution)}})
        }
        Change::Auto(auto) => {
            shape.auto = *auto;
            json!({"metadata": {"annotations": objects::auto(*auto)}})
        }
        Change::Labels(labels) => {
            shape.labels = *labels;
            json!({"metadata": {"labels": objects::labels(*labels)}})
        }
    };
    if *shape == before || !is_valid(shape) {
        *shape = before;
        return None;
    }
    Some(patch)
}

/// Whether the controllers ignore this Service.
pub fn is_left_alone(shape: &Shape) -> bool {
    shape.external || shape.selector == Selector::Absent
}
