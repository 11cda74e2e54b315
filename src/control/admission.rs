//! Admission: whether the admission policy is there that keeps hints through the writes of the
//! controller whose slices they are patched into (docs/assist.md). Without it, each patch would lead to
//! a write of that controller, and the next patch to another one.

use std::time::Duration;

use kube::{Client, Error};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    admission::names::{BINDING, POLICY},
    causes::causes,
    plain::shortened,
};

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(60);
/// The same after a failure, and before an absence counts that is new: API servers answer 404 for a
/// moment when they start.
const SOON: Duration = Duration::from_secs(5);
/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How often a starting replica looks before it refuses to run: the chart may be about to install the
/// policy.
const LOOKS: u32 = 5;
/// From one of these looks to the next.
const BETWEEN: Duration = Duration::from_secs(2);

/// What is known of the admission policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It is there, and bound.
    InForce,
    /// It is not.
    Absent(Absence),
}

/// Why the admission policy is not in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absence {
    /// The API server is too old, or the API is switched off.
    #[error(
        "the API server has no MutatingAdmissionPolicy in admissionregistration.k8s.io/v1, which \
         comes with Kubernetes 1.36"
    )]
    NoApi,
    /// One of the two objects is missing.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// One of the two objects may not be read.
    #[error("may not get the {what}: {why}")]
    Forbidden {
        /// The object.
        what: &'static str,
        /// What the API server says.
        why: String,
    },
    /// The binding binds another policy.
    #[error("the MutatingAdmissionPolicyBinding {BINDING} binds the policy {0:?}, not {POLICY}")]
    Misbound(String),
}

impl Absence {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoApi => {
                "without it, use --mode advise, which writes nothing, or upgrade the cluster"
            }
            Self::Missing(_) | Self::Misbound(_) => {
                "install the chart with mode=assist, which brings both objects, or use --mode advise, \
                 which writes nothing"
            }
            Self::Forbidden { .. } => {
                "give closehaul the permission to get both objects, as the chart does with mode=assist"
            }
        }
    }
}

const POLICY_IS: &str = "MutatingAdmissionPolicy closehaul-hints";
const BINDING_IS: &str = "MutatingAdmissionPolicyBinding closehaul-hints";

/// The binding, as far as it is read.
#[derive(Deserialize)]
struct Binding {
    spec: BindingSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BindingSpec {
    #[serde(default)]
    policy_name: String,
}

/// Looks for the admission policy once.
///
/// # Errors
///
/// The API server does not answer, or not in a way that says whether it is there.
pub async fn look(client: &Client) -> Result<Admission, Error> {
    let policy = get::<serde::de::IgnoredAny>(client, "mutatingadmissionpolicies", POLICY).await;
    if let Err(absence) = found(policy, POLICY_IS, POLICY)? {
        return Ok(Admission::Absent(absence));
    }
    let binding = get::<Binding>(client, "mutatingadmissionpolicybindings", BINDING).await;
    Ok(match found(binding, BINDING_IS, BINDING)? {
        Err(absence) => Admission::Absent(absence),
        Ok(Binding { spec }) if spec.policy_name != POLICY => {
            Admission::Absent(Absence::Misbound(spec.policy_name))
        }
        Ok(_) => Admission::InForce,
    })
}

async fn get<T: serde::de::DeserializeOwned>(
    client: &Client,
    plural: &str,
    name: &str,
) -> Result<T, Error> {
    let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}/{name}");
    let request = http::Request::get(path).body(Vec::new()).map_err(Error::HttpError)?;
    client.request(request).await
}

/// What an answer says about an object.
fn found<T>(
    answer: Result<T, Error>,
    what: &'static str,
    name: &str,
) -> Result<Result<T, Absence>, Error> {
    let status = match answer {
        Ok(object) => return Ok(Ok(object)),
        Err(Error::Api(status)) if matches!(status.code, 403 | 404) => status,
        Err(error) => return Err(error),
    };
    if status.code == 403 {
        return Ok(Err(Absence::Forbidden { what, why: shortened(status.message) }));
    }
    // A server without the API does not name what it has not found.
    let is_named = status.details.as_ref().is_some_and(|details| details.name == name);
    Ok(Err(if is_named { Absence::Missing(what) } else { Absence::NoApi }))
}

/// Looks for the admission policy at the start. It may come a few seconds later than this replica.
///
/// # Errors
///
/// It is not there. If the API server does not say, that is no error: nothing is patched before it does.
pub async fn expect(client: &Client) -> Result<(), Absence> {
    for round in 1.. {
        match timeout(LIMIT, look(client)).await {
            Ok(Ok(Admission::Absent(absence))) if round >= LOOKS || absence == Absence::NoApi => {
                return Err(absence);
            }
            Ok(Ok(Admission::Absent(absence))) => info!(%absence, "waiting for it"),
            Ok(Ok(Admission::InForce | Admission::Unknown)) => return Ok(()),
            Ok(Err(error)) => {
                warn!(error = causes(&error), "cannot look for the admission policy yet");
                return Ok(());
            }
            Err(_) => {
                warn!(after = ?LIMIT, "cannot look for the admission policy yet: no answer");
                return Ok(());
            }
        }
        sleep(BETWEEN).await;
    }
    Ok(())
}

/// Looks for the admission policy again and again, and publishes what is new. Ends if nobody asks.
pub async fn follow(client: Client, publish: watch::Sender<Admission>) {
    let mut doubt = false;
    while !publish.is_closed() {
        let found = match timeout(LIMIT, look(&client)).await {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                debug!(error = causes(&error), "cannot look for the admission policy");
                None
            }
            Err(_) => None,
        };
        let is_lost =
            matches!(found, Some(Admission::Absent(_))) && *publish.borrow() == Admission::InForce;
        let wait = match found {
            None => SOON,
            Some(_) if is_lost && !doubt => {
                doubt = true;
                SOON
            }
            Some(found) => {
                doubt = false;
                publish.send_if_modified(|known| {
                    let is_new = *known != found;
                    *known = found;
                    is_new
                });
                LOOK
            }
        };
        sleep(wait).await;
    }
}
