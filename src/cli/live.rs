//! Live: the objects of a running cluster, which are only listed.

mod rules;

use futures::join;
use kube::{Api, Client, Error, api::ListParams};

use super::{
    connection::{ConnectError, Connection},
    objects::{Needs, Objects, Rules},
    progress::Progress,
};
use crate::{
    api::{
        Kind, Object,
        field::FieldError,
        guard::{Guarded, Malformed},
    },
    causes::causes,
    cluster::{Need, Watched},
    model::{name::Name, node::Node, pod::Pod, service::Service, slice::Slice},
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
    /// To check the cluster.
    Check,
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
/// all. `needs` is what other policies than those of the cluster are about.
///
/// Also returns a line for each object that does not parse. It is skipped, as `closehaul run` does.
///
/// # Errors
/// There is no cluster, or it cannot be listed.
pub async fn list(
    connection: &Connection,
    namespace: Option<&str>,
    needs: Needs,
) -> Result<(Objects, Vec<String>), LiveError> {
    let mut cluster = Cluster::connect(connection, Purpose::Plan).await?;
    let objects = cluster.all(namespace, needs).await?;
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

/// What was listed, with a line for each thing to know about it.
type Listed<T> = Result<(T, Vec<String>), LiveError>;

impl Cluster {
    /// The cluster that is meant.
    ///
    /// # Errors
    /// There is none.
    pub async fn connect(connection: &Connection, purpose: Purpose) -> Result<Self, LiveError> {
        let found = connection.find().await?;
        let url = found.config.cluster_url.to_string();
        Ok(Self { notes: found.notes.clone(), ..Self::new(found.reader()?, url, purpose) })
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
        let listed = self.list::<Node>(None, &Progress::start()).await?;
        Ok(values(self.note(listed)))
    }

    /// All nodes, and the Services, pods and slices of one namespace or of all, without policies.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn objects(&mut self, namespace: Option<&str>) -> Result<Objects, LiveError> {
        let listed = self.basis(namespace, &Progress::start()).await?;
        Ok(self.note(listed))
    }

    /// What a plan is based on: all nodes, the Services, pods and slices of one namespace or of all,
    /// and the policies and evacuations that may be for them. All kinds are listed at once.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn all(
        &mut self,
        namespace: Option<&str>,
        needs: Needs,
    ) -> Result<Objects, LiveError> {
        let progress = Progress::start();
        let (objects, rules) =
            join!(self.basis(namespace, &progress), self.rules(namespace, needs, &progress));
        let mut objects = self.note(objects?);
        objects.rules = self.note(rules?);
        if let Some(namespace) = namespace
            && objects.rules.needs().and(needs).pods
        {
            match self.list::<Pod>(None, &progress).await {
                Ok(listed) => objects.pods = pods(self.note(listed)),
                Err(LiveError::Refused { reason, .. }) => self.notes.push(format!(
                    "the demand of clients in other namespaces is unknown: may not list pods of {} \
                     in all namespaces: {reason}; only those of {namespace} count",
                    self.url
                )),
                Err(error) => return Err(error),
            }
        }
        Ok(objects)
    }

    /// All nodes, and the Services, pods and slices of one namespace or of all. Of several errors it is
    /// always the first one that is returned, so that the same cluster gives the same message.
    async fn basis(&self, namespace: Option<&str>, progress: &Progress) -> Listed<Objects> {
        let (services, pods, slices, all_nodes) = join!(
            self.list::<Service>(namespace, progress),
            self.list::<Pod>(namespace, progress),
            self.list::<Slice>(namespace, progress),
            self.list::<Node>(None, progress),
        );
        let (services, mut said) = services?;
        let (pods, more) = pods?;
        said.extend(more);
        let (slices, more) = slices?;
        said.extend(more);
        let (nodes, more) = all_nodes?;
        said.extend(more);
        let objects = Objects {
            services: values(services),
            pods: self::pods(pods),
            nodes: values(nodes),
            slices: values(slices),
            are_pods_unknown: false,
            rules: Rules::default(),
        };
        Ok((objects, said))
    }

    /// All objects of a kind.
    async fn list<K: Kind>(
        &self,
        namespace: Option<&str>,
        progress: &Progress,
    ) -> Listed<Vec<Object<K>>> {
        let api: Api<Guarded<Object<K>>> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &()),
            None => Api::all_with(self.client.clone(), &()),
        };
        let (mut objects, mut notes) = (Vec::new(), Vec::new());
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = api.list(&page).await.map_err(|error| self.error(K::PLURAL, error))?;
            progress.listed(K::PLURAL, list.items.len());
            for object in list.items {
                match object {
                    Guarded::Good(object) => {
                        notes.extend(object.flaw().map(|flaw| left_out(&object, flaw)));
                        objects.push(object);
                    }
                    Guarded::Bad(bad) => notes.push(skipped(K::KIND, &bad)),
                }
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok((objects, notes)),
            }
        }
    }

    /// Keeps the notes of what was listed.
    fn note<T>(&mut self, (listed, notes): (T, Vec<String>)) -> T {
        self.notes.extend(notes);
        listed
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

fn values<K>(objects: Vec<Object<K>>) -> Vec<K> {
    objects.into_iter().map(|object| object.value).collect()
}

fn pods(objects: Vec<Object<Pod>>) -> Vec<(Name, Pod)> {
    objects.into_iter().map(|pod| (pod.namespace, pod.value)).collect()
}
