//! Rules: the policies and evacuations of a running cluster. The cluster may not have these kinds, and
//! the user may not have the permission to read them.

use futures::join;
use kube::Api;

use super::{Cluster, Listed, LiveError, values};
use crate::{
    api::{Kind, Object, guard::Guarded},
    cli::{
        objects::{Needs, Rules},
        progress::Progress,
    },
    control::watch::kinds,
    model::{
        namespace::Namespace,
        policy::{ClusterLocalityPolicy, LocalityPolicy, ZoneEvacuation},
    },
};

impl Cluster {
    /// The policies and evacuations, and the namespaces if one of them, or something else, selects by
    /// their labels. A kind that the API server does not have has no objects. If one may not be
    /// listed, policies are unknown.
    pub(super) async fn rules(
        &self,
        namespace: Option<&str>,
        needs: Needs,
        progress: &Progress,
    ) -> Listed<Rules> {
        let (policies, cluster_policies, evacuations) = join!(
            self.list_if_there::<LocalityPolicy>(namespace, progress),
            self.list_if_there::<ClusterLocalityPolicy>(None, progress),
            self.list_if_there::<ZoneEvacuation>(None, progress),
        );
        let (policies, mut notes) = policies?;
        let (cluster_policies, more) = cluster_policies?;
        notes.extend(more);
        let (evacuations, more) = evacuations?;
        notes.extend(more);
        let are_unknown = policies.is_none() || cluster_policies.is_none() || evacuations.is_none();
        let mut rules = Rules {
            are_unknown,
            namespaces: Vec::new(),
            policies: policies.unwrap_or_default(),
            cluster_policies: cluster_policies.unwrap_or_default(),
            evacuations: evacuations.unwrap_or_default(),
        };
        let needs = rules.needs().and(needs);
        if needs.namespaces {
            // Clients may be in any namespace that has the labels.
            let namespace = namespace.filter(|_| !needs.pods);
            let (namespaces, more) = self.namespaces(namespace, progress).await?;
            rules.namespaces = namespaces;
            notes.extend(more);
        }
        Ok((rules, notes))
    }

    /// All objects of a kind that the API server may not have. `None` if they may not be listed.
    async fn list_if_there<K: Kind>(
        &self,
        namespace: Option<&str>,
        progress: &Progress,
    ) -> Listed<Option<Vec<K>>> {
        match self.list::<K>(namespace, progress).await {
            Ok((objects, notes)) => Ok((Some(values(objects)), notes)),
            Err(LiveError::Missing { .. }) => Ok((Some(Vec::new()), Vec::new())),
            Err(LiveError::Refused { reason, .. }) => {
                // The API server checks permissions first, also for kinds that it does not have.
                if kinds(&self.client).await.is_ok_and(|kinds| !kinds.contains(K::PLURAL)) {
                    return Ok((Some(Vec::new()), Vec::new()));
                }
                let note = format!(
                    "policies are unknown: may not list {} of {}: {reason}; hints stay where a \
                     policy may have written them. Ask for that permission, or give files with -f",
                    K::PLURAL,
                    self.url
                );
                Ok((None, vec![note]))
            }
            Err(error) => Err(error),
        }
    }

    /// One namespace, or all. None that may not be read.
    async fn namespaces(
        &self,
        namespace: Option<&str>,
        progress: &Progress,
    ) -> Listed<Vec<Namespace>> {
        let read = match namespace {
            // Someone who has permissions in one namespace may get it, and not list all.
            Some(name) => {
                let namespace = self.namespace(name).await;
                namespace.map(|it| (it.into_iter().collect(), Vec::new()))
            }
            None => self.list::<Namespace>(None, progress).await,
        };
        match read {
            Ok((objects, notes)) => Ok((values(objects), notes)),
            Err(LiveError::Missing { .. }) => Ok((Vec::new(), Vec::new())),
            Err(LiveError::Refused { reason, .. }) => {
                let note = format!(
                    "which namespaces policies select is unknown: may not read namespaces of {}: \
                     {reason}; where that decides, the reason is PolicyUnknown",
                    self.url
                );
                Ok((Vec::new(), vec![note]))
            }
            Err(error) => Err(error),
        }
    }

    async fn namespace(&self, name: &str) -> Result<Option<Object<Namespace>>, LiveError> {
        let api: Api<Guarded<Object<Namespace>>> = Api::all_with(self.client.clone(), &());
        match api.get(name).await.map_err(|error| self.error(Namespace::PLURAL, error))? {
            Guarded::Good(namespace) => Ok(Some(namespace)),
            Guarded::Bad(_) => Ok(None),
        }
    }
}
