//! Rules: the policies and evacuations of a running cluster. The cluster may not have these kinds, and
//! the user may not have the permission to read them.

use kube::Api;

use super::{Cluster, LiveError};
use crate::{
    api::{Kind, Object, guard::Guarded},
    cli::objects::Rules,
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
    ///
    /// # Errors
    /// They cannot be listed for another reason.
    pub async fn rules(
        &mut self,
        namespace: Option<&str>,
        needs_namespaces: bool,
    ) -> Result<Rules, LiveError> {
        let policies = self.list_if_there::<LocalityPolicy>(namespace).await?;
        let cluster_policies = self.list_if_there::<ClusterLocalityPolicy>(None).await?;
        let evacuations = self.list_if_there::<ZoneEvacuation>(None).await?;
        let are_unknown = policies.is_none() || cluster_policies.is_none() || evacuations.is_none();
        let mut rules = Rules {
            are_unknown,
            namespaces: Vec::new(),
            policies: policies.unwrap_or_default(),
            cluster_policies: cluster_policies.unwrap_or_default(),
            evacuations: evacuations.unwrap_or_default(),
        };
        if needs_namespaces || rules.read_namespaces() {
            rules.namespaces = self.namespaces(namespace).await?;
        }
        Ok(rules)
    }

    /// All objects of a kind that the API server may not have. `None` if they may not be listed.
    async fn list_if_there<K: Kind>(
        &mut self,
        namespace: Option<&str>,
    ) -> Result<Option<Vec<K>>, LiveError> {
        match self.list::<K>(namespace).await {
            Ok(objects) => Ok(Some(objects.into_iter().map(|object| object.value).collect())),
            Err(LiveError::Missing { .. }) => Ok(Some(Vec::new())),
            Err(LiveError::Refused { reason, .. }) => {
                // The API server checks permissions first, also for kinds that it does not have.
                if kinds(&self.client).await.is_ok_and(|kinds| !kinds.contains(K::PLURAL)) {
                    return Ok(Some(Vec::new()));
                }
                self.notes.push(format!(
                    "policies are unknown: may not list {} of {}: {reason}; hints stay where a \
                     policy may have written them. Ask for that permission, or give files with -f",
                    K::PLURAL,
                    self.url
                ));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// One namespace, or all. None that may not be read.
    async fn namespaces(&mut self, namespace: Option<&str>) -> Result<Vec<Namespace>, LiveError> {
        let read = match namespace {
            // Someone who has permissions in one namespace may get it, and not list all.
            Some(name) => self.namespace(name).await.map(|it| it.into_iter().collect()),
            None => self.list::<Namespace>(None).await,
        };
        match read {
            Ok(objects) => Ok(objects.into_iter().map(|object| object.value).collect()),
            Err(LiveError::Missing { .. }) => Ok(Vec::new()),
            Err(LiveError::Refused { reason, .. }) => {
                self.notes.push(format!(
                    "which namespaces policies select is unknown: may not read namespaces of {}: \
                     {reason}; where that decides, the reason is PolicyUnknown",
                    self.url
                ));
                Ok(Vec::new())
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
