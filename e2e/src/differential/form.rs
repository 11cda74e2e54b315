//! Form: a slice without the parts that differ between any two control planes (names, UIDs,
//! versions, times), and the comparison of their slices.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde_json::{Value, json};

use crate::world::normal::items;

const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// Replaces the UID of an object that exists.
pub const CURRENT: &str = "current";
/// Replaces any other UID.
pub const OLDER: &str = "older";

/// What the slices of a port set have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The Service, by the slice's label.
    pub service: String,
    /// `IPv4` or `IPv6`.
    pub address_type: String,
    /// The ports, as a set.
    pub ports: BTreeSet<String>,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// The owners, with [`CURRENT`] or [`OLDER`] for the UID.
    pub owners: Vec<String>,
    /// Whether it has a deletionTimestamp.
    pub terminating: bool,
}

/// One slice.
#[derive(Debug, Clone)]
pub struct Form {
    /// What it has in common with other slices.
    pub group: Group,
    /// Its endpoints as JSON, with [`CURRENT`] or [`OLDER`] for the pod's UID, in order.
    pub endpoints: Vec<String>,
    /// Whether it has a trigger time.
    pub trigger: bool,
    /// What other clients have added to its metadata: annotations and finalizers.
    pub foreign: Vec<String>,
    /// The slice itself.
    pub slice: Arc<Value>,
}

/// Services for which the sizes of slices, and which slices are written when, depend on the time
/// between events.
pub type Loose = BTreeSet<String>;

/// How the slices of two sides compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// All slices are the same.
    Same,
    /// The same, except for which of several slices an endpoint is in.
    Placed,
    /// Different in these lines.
    Different(Vec<String>),
}

impl Group {
    /// The group without the label for headless Services. A wrong label stays until there is
    /// another reason to write the slice, and any slice of the group may get an endpoint.
    fn unlabelled(&self) -> Self {
        let mut group = self.clone();
        group.labels.remove(HEADLESS);
        group
    }
}

impl Form {
    /// The form of a slice. `uid` returns the current UID of a Service or a pod, by kind and name.
    pub fn new(slice: &Arc<Value>, uid: impl Fn(&str, &str) -> Option<String>) -> Self {
        let metadata = &slice["metadata"];
        let token = |kind: &Value, name: &Value, there: &Value| {
            let present = uid(kind.as_str().unwrap_or_default(), name.as_str().unwrap_or_default());
            if present.as_deref() == there.as_str() { CURRENT } else { OLDER }
        };
        let owners = items(&metadata["ownerReferences"]).map(|owner| {
            let mut owner = owner.clone();
            owner["uid"] = json!(token(&owner["kind"], &owner["name"], &owner["uid"]));
            owner.to_string()
        });
        let endpoints = items(&slice["endpoints"]).map(|endpoint| {
            let mut endpoint = endpoint.clone();
            if let Some(target) = endpoint.get_mut("targetRef") {
                target["uid"] = json!(token(&target["kind"], &target["name"], &target["uid"]));
            }
            endpoint.to_string()
        });
        let strings = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let annotations = strings(&metadata["annotations"]);
        let noted = annotations.iter().filter(|(key, _)| *key != TRIGGER_TIME);
        let noted = noted.map(|(key, value)| format!("annotation {key}={value}"));
        let kept = items(&metadata["finalizers"]).map(|it| format!("finalizer {it}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels = strings(&metadata["labels"]);
        let mut endpoints = endpoints.collect::<Vec<_>>();
        endpoints.sort_unstable();
        Self {
            group: Group {
                service: text(&metadata["labels"][SERVICE_NAME]),
                address_type: text(&slice["addressType"]),
                ports: items(&slice["ports"]).map(Value::to_string).collect(),
                labels: labels.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
                owners: owners.collect(),
                terminating: !metadata["deletionTimestamp"].is_null(),
            },
            trigger: annotations.contains_key(TRIGGER_TIME),
            foreign: noted.chain(kept).collect(),
            endpoints,
            slice: Arc::clone(slice),
        }
    }

    /// Whether the controllers manage it.
    pub fn is_managed(&self) -> bool {
        self.group.labels.get(MANAGED_BY).is_some_and(|by| by == CONTROLLER)
            && !self.group.terminating
    }

    /// Whether it is managed and no owner of it exists.
    pub fn has_lost_owner(&self) -> bool {
        self.is_managed() && !self.group.owners.iter().any(|owner| owner.contains(CURRENT))
    }

    /// The key by which it is compared and ordered.
    pub fn key(&self) -> (&Group, &[String], bool, &[String]) {
        (&self.group, &self.endpoints, self.trigger, &self.foreign)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Group { service, address_type, ports, labels, owners, terminating } = &self.group;
        let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(" ");
        let labels =
            labels.iter().filter(|(key, _)| ![SERVICE_NAME, MANAGED_BY].contains(&&***key));
        write!(out, "{service} {address_type}")?;
        if !self.is_managed() {
            out.write_str(" not managed")?;
        }
        if *terminating {
            out.write_str(" terminating")?;
        }
        write!(out, " ports [{}]", list(&mut ports.iter().cloned()))?;
        write!(
            out,
            " labels [{}]",
            list(&mut labels.map(|(key, value)| format!("{key}={value}")))
        )?;
        let older = owners.iter().filter(|owner| owner.contains(OLDER)).count();
        write!(out, " owners {} ({older} older)", owners.len())?;
        write!(out, " trigger time {}", if self.trigger { "yes" } else { "no" })?;
        write!(out, " foreign {:?}", self.foreign)?;
        write!(out, " {} endpoints", self.endpoints.len())?;
        self.endpoints.iter().try_for_each(|endpoint| write!(out, "\n      {endpoint}"))
    }
}

/// Compares the slices of the built-in controller, `left`, with those of closehaul. For a Service
/// in `loose`, only the endpoints of each group must be the same.
///
/// Slices with a deletionTimestamp count for neither controller. If two slices are no longer
/// needed, a controller may delete either of them, which may then stay because of a finalizer.
pub fn compare(left: &[Form], right: &[Form], loose: &Loose) -> Comparison {
    let live = |forms: &[Form]| {
        forms.iter().filter(|form| !form.group.terminating).cloned().collect::<Vec<_>>()
    };
    let (left, right) = (&live(left)[..], &live(right)[..]);
    let keys = |forms: &[Form]| {
        let mut keys = forms.iter().map(|form| {
            let (group, endpoints, trigger, foreign) = form.key();
            (group.clone(), endpoints.to_vec(), trigger, foreign.to_vec())
        });
        let mut keys = keys.by_ref().collect::<Vec<_>>();
        keys.sort_unstable();
        keys
    };
    if keys(left) == keys(right) {
        return Comparison::Same;
    }
    let is_loose = |group: &Group| loose.contains(&group.service);
    let contents = |forms: &[Form]| {
        let mut contents = BTreeMap::<Group, Vec<String>>::new();
        for form in forms {
            contents.entry(form.group.unlabelled()).or_default().extend(form.endpoints.clone());
        }
        for endpoints in contents.values_mut() {
            endpoints.sort_unstable();
        }
        contents.retain(|group, endpoints| !is_loose(group) || !endpoints.is_empty());
        contents
    };
    // How many slices have which labels, in the groups with endpoints. For a Service in `loose`,
    // only whether there are any.
    let labelled = |forms: &[Form]| {
        let contents = contents(forms);
        let groups = forms.iter().map(|form| form.group.clone());
        let mut labelled = BTreeMap::<Group, usize>::new();
        for group in groups.filter(|group| contents.contains_key(&group.unlabelled())) {
            let many = !is_loose(&group);
            let count = labelled.entry(group).or_default();
            *count = if many { *count + 1 } else { 1 };
        }
        labelled
    };
    let sizes = |forms: &[Form]| {
        let strict = forms.iter().filter(|form| !is_loose(&form.group));
        let sizes = strict.map(|form| (form.group.unlabelled(), form.endpoints.len()));
        let mut sizes = sizes.collect::<Vec<_>>();
        sizes.sort_unstable();
        sizes
    };
    let packed = |forms: &[Form], group: &Group| {
        let of_group = forms.iter().filter(|form| form.group.unlabelled() == *group);
        let mut packed = of_group.map(|form| form.endpoints.clone()).collect::<Vec<_>>();
        packed.sort_unstable();
        packed
    };
    // Which of several slices is written, and gets or loses a trigger time, depends on which of
    // them an endpoint is in. Any of the equally full slices may get an endpoint, regardless of
    // what other clients have added to its metadata.
    let written = |forms: &[Form]| {
        let mut written = BTreeMap::<Group, (Vec<bool>, Vec<Vec<String>>)>::new();
        for form in forms.iter().filter(|form| !is_loose(&form.group)) {
            let group = form.group.unlabelled();
            let is_placed = packed(left, &group) != packed(right, &group);
            let (times, foreign) = written.entry(group).or_default();
            times.push(form.trigger && !is_placed);
            foreign.push(form.foreign.clone());
        }
        for (times, foreign) in written.values_mut() {
            times.sort_unstable();
            foreign.sort_unstable();
        }
        written
    };
    if contents(left) == contents(right)
        && labelled(left) == labelled(right)
        && sizes(left) == sizes(right)
        && written(left) == written(right)
    {
        return Comparison::Placed;
    }
    Comparison::Different(lines(left, right))
}

/// The endpoints of managed slices, without hints, by Service, address type and ports.
pub fn served(forms: &[Form]) -> BTreeMap<String, Vec<String>> {
    let mut served = BTreeMap::<String, Vec<String>>::new();
    for form in forms.iter().filter(|form| form.is_managed() && !form.endpoints.is_empty()) {
        let Group { service, address_type, ports, .. } = &form.group;
        let endpoints = form.endpoints.iter().map(|endpoint| without_hints(endpoint));
        served.entry(format!("{service} {address_type} {ports:?}")).or_default().extend(endpoints);
    }
    for endpoints in served.values_mut() {
        endpoints.sort_unstable();
    }
    served
}

/// The endpoint, which is JSON, without its hints.
pub fn without_hints(endpoint: &str) -> String {
    let mut value = serde_json::from_str::<Value>(endpoint).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("hints");
    }
    value.to_string()
}

/// The slices that only one side has.
fn lines(left: &[Form], right: &[Form]) -> Vec<String> {
    let only = |here: &[Form], there: &[Form], name: &str| {
        let mut there = there.iter().map(Form::key).collect::<Vec<_>>();
        let mut lines = Vec::new();
        for form in here {
            match there.iter().position(|other| *other == form.key()) {
                Some(at) => drop(there.swap_remove(at)),
                None => lines.push(format!("{name}: {form}")),
            }
        }
        lines
    };
    [only(left, right, "built-in"), only(right, left, "closehaul")].concat()
}
