//! Without root, there is no network. The model of kube-proxy's rule picks who answers.

use super::{
    Error,
    steps::{CLIENT_NODE, SERVICE},
};
use crate::kubelet::requests::Answer;
use closehaul::{
    api::Object,
    consumers::kube_proxy::{self, Client},
    model::{address::AddressType, node::Node, service::Service, slice::Slice},
};
use kube::{Api, api::ListParams};

/// A kube-proxy on the client's node that always knows the current slices.
#[derive(Clone)]
pub(super) struct Model {
    api: kube::Client,
}

impl Model {
    pub(super) fn new(api: kube::Client) -> Self {
        Self { api }
    }

    /// Who answers `count` requests: the endpoints that the client reaches, in turn.
    pub(super) async fn send(&self, count: u64) -> Result<Vec<Answer>, Error> {
        let api: Api<Object<Service>> = Api::default_namespaced_with(self.api.clone(), &());
        let service = api.get(SERVICE).await.map_err(Error::api("reading the Service"))?;
        let api: Api<Object<Slice>> = Api::default_namespaced_with(self.api.clone(), &());
        let all = ListParams::default();
        let slices = api.list(&all).await.map_err(Error::api("reading the slices"))?;
        let api: Api<Object<Node>> = Api::all(self.api.clone());
        let node = api.get(CLIENT_NODE).await.map_err(Error::api("reading the client's node"))?;

        let client = Client { node: CLIENT_NODE, zone: node.value.zone.as_deref() };
        let slices = slices.iter().map(|slice| &slice.value);
        let reach = kube_proxy::reach(&service.value, slices, AddressType::IPv4, "", client);
        let answers = reach.endpoints.iter().map(|target| {
            let pod = target.endpoint.target.as_ref().map(|target| &*target.name);
            let node = target.endpoint.node.as_deref();
            Ok(format!("{}@{}", pod.unwrap_or_default(), node.unwrap_or_default()))
        });
        let refused = || Err("the model of kube-proxy has no endpoint".to_owned());
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(if reach.endpoints.is_empty() {
            std::iter::repeat_with(refused).take(count).collect()
        } else {
            answers.cycle().take(count).collect()
        })
    }
}
