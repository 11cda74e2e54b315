//! Mutating: the policy that keeps hints in force while another controller writes the slices
//! (docs/assist.md). It acts on slices that have [`ANNOTATION`] before and after a write, and on
//! clients other than closehaul: a write that removes the annotation ends it for that slice.
//!
//! Each endpoint keeps what the stored slice has for the same pod, also if that is nothing. An
//! endpoint whose pod is not in the stored slice gets what the annotation says for its zone. An
//! endpoint without a pod is left as it is in the request.
//!
//! The API server evaluates this at each write of a slice, so the order of the work matters:
//!
//! - The match condition is one expression, because all conditions of a policy are evaluated even if
//!   the first is false. It ends at the first endpoint whose hints differ. If none do, nothing is
//!   patched, which would encode and decode the slice once more.
//! - Most changes leave every endpoint in its place, because the built-in controller keeps the order.
//!   Then nothing is looked up. A variable is only evaluated if it is used, so the index of pods is
//!   only built after an endpoint is gone, and the annotation is only read if there is a newcomer.
//! - Hints in a patch are plain maps, which cost less than typed objects, and nearly nothing if they
//!   are copied from an earlier endpoint that has the same ones.

use serde_json::{Value, json};

use super::{
    annotation::{ANNOTATION, NODE, OWN},
    names::{BINDING, POLICY},
    policy::{Kind, binding, filled, policy, rules},
};
use crate::{
    model::slice::{CONTROLLER, MANAGED_BY},
    plan::policy::outcome::PLACEHOLDER,
};

/// Whether a write would change hints that are in force.
const CONDITION: &str = "\
request.userInfo.username != '$user'
&& has(oldObject.metadata.annotations) && '$annotation' in oldObject.metadata.annotations
&& has(object.metadata.annotations) && '$annotation' in object.metadata.annotations
&& object.endpoints != null
&& !(oldObject.endpoints != null && size(object.endpoints) == size(oldObject.endpoints)
  && object.endpoints.all(i, e,
    e.?hints == oldObject.endpoints[i].?hints
    && e.?targetRef == oldObject.endpoints[i].?targetRef))";

/// Whether every endpoint is where it was stored.
const IN_PLACE: &str = "\
oldObject.endpoints != null && size(object.endpoints) == size(oldObject.endpoints)
&& object.endpoints.all(i, e, e.?targetRef == oldObject.endpoints[i].?targetRef)";

/// The hints of the first endpoints, if all are where they were. Others have the same ones mostly.
const SAMPLES: &str = "\
oldObject.endpoints.slice(0, size(oldObject.endpoints) < 8 ? size(oldObject.endpoints) : 8)
.map(e, has(e.targetRef) ? e.?hints : optional.none())";

/// The stored endpoints.
const BEFORE: &str = "oldObject.endpoints != null ? oldObject.endpoints : []";

/// The pods of the stored endpoints, empty for none.
const STORED: &str = "variables.before.map(e, e.?targetRef.?uid.orValue(''))";

/// The pods of the endpoints.
const PODS: &str = "object.endpoints.map(e, e.?targetRef.?uid.orValue(''))";

/// Where each pod was stored.
const INDEX: &str = "variables.stored.transformMapEntry(i, uid, uid != '', {uid: i})";

/// Where each endpoint's pod was stored; -1 for nowhere.
const FROM: &str = "\
variables.pods.transformList(i, uid,
  i < size(variables.stored) && variables.stored[i] == uid
  ? i : variables.index[?uid].orValue(-1))";

/// The entries of the annotation, as pairs of key and value. One that would make the slice invalid is
/// ignored.
const ENTRIES: &str = "\
oldObject.metadata.annotations['$annotation'].split(';')
.filter(x, x.matches('^$zone?($node=($own|$evacuated)|=($zone(,$zone){0,7})?)$'))
.map(x, x.split('='))
.filter(x, size(x[1].split(',')) == size(x[1].split(',').distinct()))";

/// The keys of these entries: `ZONE` and `ZONE/node`.
const KEYS: &str = "variables.entries.map(x, x[0])";

/// What newcomers name, by these keys. Of two entries with the same key, the first counts.
const NEWCOMERS: &str = "\
variables.entries.transformMapEntry(i, x, variables.keys.indexOf(x[0]) == i,
  {x[0]: x[1].split(',').filter(name, name != '').map(name, {'name': name})})";

/// The patch: one operation for each endpoint whose hints differ.
const PATCH: &str = "\
variables.inPlace
? object.endpoints.transformList(i, e,
    has(e.targetRef) && e.?hints != oldObject.endpoints[i].?hints,
    [has(oldObject.endpoints[i].hints)
      ? variables.samples.indexOf(oldObject.endpoints[i].?hints) : -1
    ].map(k, k >= 0 && k < i
      ? JSONPatch{op: 'copy', from: '/endpoints/' + string(k) + '/hints',
          path: '/endpoints/' + string(i) + '/hints'}
      : JSONPatch{op: 'add', path: '/endpoints/' + string(i) + '/hints',
          value: oldObject.endpoints[i].$hints})[0])
: object.endpoints.transformList(i, e,
    variables.pods[i] != '' && (variables.from[i] < 0
      || e.?hints != variables.before[variables.from[i]].?hints),
    JSONPatch{op: 'add', path: '/endpoints/' + string(i) + '/hints', value:
      variables.from[i] >= 0 ? variables.before[variables.from[i]].$hints
      : [has(e.zone) && e.zone in variables.newcomers ? e.zone : ''].map(zone, {
          'forZones': variables.newcomers[?zone].orValue([]),
          'forNodes': variables.newcomers[?(zone + '$node')].orValue([])
            .filter(node, node.name != '$own' || has(e.nodeName))
            .map(node, {'name': node.name != '$own' ? node.name : string(e.nodeName)})
        }).map(it, it.forZones == [] && it.forNodes == [] ? dyn(null) : dyn(it))[0]
    })";

/// The hints of a stored endpoint as they are written to a patch; null for none.
const HINTS: &str = "\
?hints.optMap(it, has(it.forNodes)
  ? dyn({'forZones': it.?forZones.orValue([]).map(zone, {'name': zone.name}),
         'forNodes': it.forNodes.map(node, {'name': node.name})})
  : dyn({'forZones': it.?forZones.orValue([]).map(zone, {'name': zone.name})})).orValue(dyn(null))";

/// The value of a label that is not empty, as a part of an expression.
const ZONE: &str = "[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?";

/// The policy, which leaves the writes of `user` alone. The user is that of closehaul's service
/// account: `system:serviceaccount:NAMESPACE:NAME`.
pub fn mutating(user: &str) -> Value {
    let filled = |text: &str| {
        let values = [
            ("$hints", HINTS),
            ("$user", user),
            ("$annotation", ANNOTATION),
            ("$zone", &format!("({ZONE})")),
            ("$node", NODE),
            ("$own", OWN),
            ("$evacuated", &PLACEHOLDER.replace('.', "[.]")),
        ];
        filled(text, &values)
    };
    let variables = [
        ("inPlace", IN_PLACE),
        ("samples", SAMPLES),
        ("before", BEFORE),
        ("stored", STORED),
        ("pods", PODS),
        ("index", INDEX),
        ("from", FROM),
        ("entries", ENTRIES),
        ("keys", KEYS),
        ("newcomers", NEWCOMERS),
    ];
    let variables = variables.map(|(name, text)| json!({"name": name, "expression": filled(text)}));
    policy(
        Kind::Mutating,
        POLICY,
        &json!({
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "objectSelector": {"matchLabels": {MANAGED_BY: CONTROLLER}},
                "resourceRules": rules(&["UPDATE"]),
            },
            "matchConditions": [{"name": "changes-hints-in-force", "expression": filled(CONDITION)}],
            "variables": variables,
            "mutations": [
                {"patchType": "JSONPatch", "jsonPatch": {"expression": filled(PATCH)}},
            ],
        }),
    )
}

/// The binding of the policy to all namespaces.
pub fn mutating_binding() -> Value {
    binding(Kind::Mutating, BINDING, &json!({"policyName": POLICY}))
}
