//! Live: the objects of a running cluster, which are only listed.

mod rules;

use kube::{Api, Client, Error, api::ListParams};

use super::{
    connection::{ConnectError, Connection},
    objects::{Objects, Rules},
};
use crate::{
    api::{
        Kind, Object,
        field::FieldError,
        guard::{Guarded, Malformed},
    },
    causes::causes,
    cluster::{Need, Watched},
    model::{node::Node, pod::Pod, service::Service, slice::Slice},
    web_page,
};

/// How many objects are requested at once, as kubectl does.
const PAGE: u32 = 500;

/// Why a cluster's objects are not known.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// No cluster.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The API server did not accept the credentials.
    #[error(
        "{url} does not accept the credentials: {reason}; log in again, or choose others with --kubeconfig or --context"
    )]
    Unknown {
        /// The API server.
        url: String,
        /// What it says.
        reason: String,
    },
    /// The API server refused.
    #[error("may not list {plural} of {url}: {reason}; {}", way_out(plural, *purpose))]
    Refused {
        /// What could not be listed.
        plural: &'static str,
        /// The API server.
        url: String,
        /// What it says.
        reason: String,
        /// What they are listed for.
        purpose: Purpose,
    },
    /// The API server does not have the kind or, if one was asked for by name, the object.
    #[error(
        "{url} has no {plural}: {reason}; are closehaul's custom resource definitions installed?"
    )]
    Missing {
        /// What could not be read.
        plural: &'static str,
        /// The API server.
        url: String,
        /// What it says.
        reason: String,
    },
    /// Anything else that went wrong.
    #[error(
        "cannot list {plural} of {url}: {}; is the API server there?{}",
        causes(source),
        if *purpose == Purpose::Plan { " Give files with -f to plan without it" } else { "" }
    )]
    List {
        /// What could not be listed.
        plural: &'static str,
        /// The API server.
        url: String,
        /// What went wrong.
        source: Box<Error>,
        /// What they are listed for.
        purpose: Purpose,
    },
}

/// What the objects of a cluster are listed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To plan. Files could be planned as well, and one namespace could be enough.
    Plan,
    /// To restore hints in the whole cluster.
    Restore,
    /// To evacuate a zone.
    Evacuate,
}

/// What a user without permission to list objects can do.
fn way_out(plural: &str, purpose: Purpose) -> String {
    if purpose != Purpose::Plan {
        return "ask for that permission".to_owned();
    }
    // Nodes are in no namespace.
    let namespace =
        if plural == Node::PLURAL { "" } else { "name a namespace where you have it with -n, or " };
    format!("ask for that permission, or {namespace}give files with -f")
}

/// Whether an API server may not have this.
fn is_optional(plural: &str) -> bool {
    Watched::ALL.iter().any(|kind| kind.plural() == plural && kind.need() != Need::Required)
}

fn skipped(kind: &str, Malformed { metadata, error, .. }: &Malformed) -> String {
    let namespace = metadata.namespace.as_ref().map_or_else(String::new, |it| format!("{it}/"));
    let name = metadata.name.as_deref().unwrap_or_default();
    format!("skipped {kind} {namespace}{name}: {error}")
}

fn left_out<K: Kind>(object: &Object<K>, flaw: &FieldError) -> String {
    let Object { namespace, name, .. } = object;
    let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
    format!("left out a field of {} {place}{name}: {flaw}", K::KIND)
}

/// Lists what a plan is based on: what is of no namespace, and everything else in one namespace or in
/// all. `needs_namespaces` if other policies than those of the cluster select namespaces.
///
/// Also returns a line for each object that does not parse. It is skipped, as `closehaul run` does.
///
/// # Errors
/// There is no cluster, or it cannot be listed.
pub async fn list(
    connection: &Connection,
    namespace: Option<&str>,
    needs_namespaces: bool,
) -> Result<(Objects, Vec<String>), LiveError> {
    let mut cluster = Cluster::connect(connection, Purpose::Plan).await?;
    let mut objects = cluster.objects(namespace).await?;
    objects.rules = cluster.rules(namespace, needs_namespaces).await?;
    Ok((objects, cluster.notes))
}

/// A cluster whose objects are listed.
pub struct Cluster {
    /// Its client, which never retries by itself.
    pub client: Client,
    /// The address of its API server.
    pub url: String,
    purpose: Purpose,
    /// What a user should know of what was done so far: a line for each object that does not parse,
    /// among others. Such an object is skipped, as `closehaul run` does.
    pub notes: Vec<String>,
}

impl Cluster {
    /// The cluster that is meant.
    ///
    /// # Errors
    /// There is none.
    pub async fn connect(connection: &Connection, purpose: Purpose) -> Result<Self, LiveError> {
        let found = connection.find().await?;
        let url = found.config.cluster_url.to_string();
        Ok(Self { notes: found.notes.clone(), ..Self::new(found.client()?, url, purpose) })
    }

    /// The cluster of this client. Messages name it by `url`.
    pub fn new(client: Client, url: String, purpose: Purpose) -> Self {
        Self { client, url, purpose, notes: Vec::new() }
    }

    /// All nodes.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn nodes(&mut self) -> Result<Vec<Node>, LiveError> {
        let nodes = self.list::<Node>(None).await?;
        Ok(nodes.into_iter().map(|node| node.value).collect())
    }

    /// All nodes, and the Services, pods and slices of one namespace or of all.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn objects(&mut self, namespace: Option<&str>) -> Result<Objects, LiveError> {
        let services = self.list::<Service>(namespace).await?;
        let pods = self.list::<Pod>(namespace).await?;
        let slices = self.list::<Slice>(namespace).await?;
        Ok(Objects {
            services: services.into_iter().map(|service| service.value).collect(),
            pods: pods.into_iter().map(|pod| (pod.namespace, pod.value)).collect(),
            nodes: self.nodes().await?,
            slices: slices.into_iter().map(|slice| slice.value).collect(),
            are_pods_unknown: false,
            rules: Rules::default(),
        })
    }

    /// All objects of a kind.
    pub(super) async fn list<K: Kind>(
        &mut self,
        namespace: Option<&str>,
    ) -> Result<Vec<Object<K>>, LiveError> {
        let api: Api<Guarded<Object<K>>> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &()),
            None => Api::all_with(self.client.clone(), &()),
        };
        let mut objects = Vec::new();
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = api.list(&page).await.map_err(|error| self.error(K::PLURAL, error))?;
            for object in list.items {
                match object {
                    Guarded::Good(object) => {
                        self.notes.extend(object.flaw().map(|flaw| left_out(&object, flaw)));
                        objects.push(object);
                    }
                    Guarded::Bad(bad) => self.notes.push(skipped(K::KIND, &bad)),
                }
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(objects),
            }
        }
    }

    pub(super) fn error(&self, plural: &'static str, error: Error) -> LiveError {
        let (url, purpose) = (self.url.clone(), self.purpose);
        let words = |message: String| web_page::words(&message).unwrap_or(message);
        match error {
            Error::Api(status) if status.code == 401 => {
                LiveError::Unknown { url, reason: words(status.message) }
            }
            Error::Api(status) if status.code == 403 => {
                LiveError::Refused { plural, url, reason: words(status.message), purpose }
            }
            Error::Api(status) if status.code == 404 && is_optional(plural) => {
                LiveError::Missing { plural, url, reason: words(status.message) }
            }
            error => LiveError::List { plural, url, source: Box::new(error), purpose },
        }
    }
}
