//! Live: the objects of a running cluster, listed and not touched.

use kube::{
    Api, Client, Error,
    api::ListParams,
    core::{DynamicResourceScope, Resource},
};
use serde::de::DeserializeOwned;

use super::{
    connection::{ConnectError, Connection},
    objects::Objects,
};
use crate::{
    api::{Kind, Object},
    control::client::client,
    plan::{node::Node, pod::Pod, service::Service, slice::Slice},
};

/// How many objects are asked for at once, as kubectl does.
const PAGE: u32 = 500;

/// Why a cluster's objects are not known.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// No cluster.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The API server refused.
    #[error(
        "may not list {plural}: {reason}; ask for the right to list them, or name a namespace with -n, or give files with -f"
    )]
    Refused {
        /// What was to be listed.
        plural: &'static str,
        /// What the API server says.
        reason: String,
    },
    /// Anything else that went wrong.
    #[error(
        "cannot list {plural} of {url}: {}; is the API server there? Give files with -f to plan without it",
        with_causes(source)
    )]
    List {
        /// What was to be listed.
        plural: &'static str,
        /// The API server.
        url: String,
        /// What went wrong.
        source: Box<Error>,
    },
}

/// An error with what led to it; kube's own message often says no more than that it failed.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.extend([": ", &cause_text]);
        }
        next = cause.source();
    }
    text
}

/// Lists what a plan is made of: all Nodes, and everything else in one namespace or in all.
///
/// # Errors
/// No cluster, or one that does not let itself be listed.
pub async fn list(connection: &Connection, namespace: Option<&str>) -> Result<Objects, LiveError> {
    let config = connection.config().await?;
    let url = config.cluster_url.to_string();
    let client = client(config).map_err(|source| ConnectError::client(url.clone(), source))?;
    let cluster = Cluster { client, url };
    let services = cluster.list::<Service>(namespace).await?;
    let pods = cluster.list::<Pod>(namespace).await?;
    let slices = cluster.list::<Slice>(namespace).await?;
    let nodes = cluster.list::<Node>(None).await?;
    Ok(Objects {
        services: services.into_iter().map(|service| service.value).collect(),
        pods: pods.into_iter().map(|pod| (pod.namespace, pod.value)).collect(),
        nodes: nodes.into_iter().map(|node| node.value).collect(),
        slices: slices.into_iter().map(|slice| slice.value).collect(),
    })
}

struct Cluster {
    client: Client,
    url: String,
}

impl Cluster {
    /// All objects of a kind.
    async fn list<K: Kind>(&self, namespace: Option<&str>) -> Result<Vec<Object<K>>, LiveError>
    where
        Object<K>: Resource<DynamicType = (), Scope = DynamicResourceScope> + DeserializeOwned,
    {
        let api: Api<Object<K>> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &()),
            None => Api::all_with(self.client.clone(), &()),
        };
        let failed = |error| self.error(K::PLURAL, error);
        let mut objects = Vec::new();
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = api.list(&page).await.map_err(failed)?;
            objects.extend(list.items);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(objects),
            }
        }
    }

    fn error(&self, plural: &'static str, error: Error) -> LiveError {
        match error {
            Error::Api(status) if matches!(status.code, 401 | 403) => {
                LiveError::Refused { plural, reason: status.message }
            }
            error => LiveError::List { plural, url: self.url.clone(), source: Box::new(error) },
        }
    }
}
