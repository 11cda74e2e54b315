//! Mode `assist`, as far as this cluster has it: the objects by which the API server keeps hints.

use serde_json::{Value, json};

use crate::site::{OFF, ON, Site};

const CHECK: &str = "admission policies are in place";

/// Policies with the names of the chart's. What they say does not matter here.
fn objects() -> [Value; 4] {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": name}, "spec": spec})
    };
    let rule = json!({"resourceRules": [{"apiGroups": ["example.com"], "apiVersions": ["v1"],
        "operations": ["CREATE"], "resources": ["nothings"]}]});
    let mutation = json!({"patchType": "ApplyConfiguration",
        "applyConfiguration": {"expression": "Object{}"}});
    let (hints, limits) = ("closehaul-hints", "closehaul-limits");
    [
        object(
            "MutatingAdmissionPolicy",
            hints,
            json!({"failurePolicy": "Ignore",
            "reinvocationPolicy": "Never", "matchConstraints": rule, "mutations": [mutation]}),
        ),
        object("MutatingAdmissionPolicyBinding", hints, json!({"policyName": hints})),
        object(
            "ValidatingAdmissionPolicy",
            limits,
            json!({"failurePolicy": "Ignore",
            "matchConstraints": rule, "validations": [{"expression": "true"}]}),
        ),
        object(
            "ValidatingAdmissionPolicyBinding",
            limits,
            json!({"policyName": limits, "validationActions": ["Deny"]}),
        ),
    ]
}

/// With all of them, and with a binding deleted. The roles of mode `replace` do not suffice here, so
/// that the command fails in any case.
pub async fn guards(site: &Site<'_>) {
    let assist = ["--mode", "assist"];
    site.managers([ON, ON]).await;
    for object in objects() {
        site.apply(&object).await;
    }
    let whole = site.check("assist, with its policies", &assist).await;
    whole.says("ok", CHECK, CHECK);
    whole.says("ok", "built-in controller is on", "kube-controller-manager-cp-1");
    whole.says("error", "closehaul has its permissions", "patch endpointslices.discovery.k8s.io");
    let delete = ["delete", "mutatingadmissionpolicybinding", "closehaul-hints"];
    site.cluster.kubectl(&delete).await.unwrap().success().unwrap();
    let bound = site.check("assist, with a binding deleted", &assist).await;
    bound.failed();
    bound.says("error", CHECK, "missing: mutatingadmissionpolicybindings/closehaul-hints;");
    site.managers([OFF, OFF]).await;
}
