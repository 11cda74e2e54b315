//! Chosen: the Services to show, by namespace, name and label.

use clap::Args;

use crate::{
    api::crd::label::LabelSelector,
    cli::{
        connection::{ConnectError, Connection},
        place::{Place, PlaceError, Unknown},
        selector,
    },
    cluster::Index,
    model::{selector::Selector, service::Service},
};

/// Which Services to show.
#[derive(Args, Debug)]
pub(super) struct Choice {
    /// The only Services to show
    #[arg(value_name = "[NAMESPACE/]SERVICE")]
    services: Vec<String>,

    /// The only namespace to show [default: that of the context; with -f, all]. With -f, also that of
    /// objects that name none
    #[arg(short, long, value_name = "NAMESPACE", env = "CLOSEHAUL_NAMESPACE", hide_env = true)]
    namespace: Option<String>,

    /// Show all namespaces, whatever -n says
    #[arg(short = 'A', long, env = "CLOSEHAUL_ALL_NAMESPACES", hide_env = true)]
    all_namespaces: bool,

    /// The only Services to show, by their labels, such as tier=web,track!=canary
    #[arg(
        short = 'l',
        long,
        value_name = "SELECTOR",
        value_parser = selector::parse,
        conflicts_with = "services",
        env = "CLOSEHAUL_SELECTOR",
        hide_env = true
    )]
    selector: Option<LabelSelector>,
}

/// The Services to show.
pub(super) struct Chosen {
    /// The namespace to which objects belong that name none; `None` for the usual one.
    pub(super) own: Option<String>,
    /// The only namespace to show, where none of the names has another one.
    pub(super) namespace: Option<String>,
    places: Vec<Place>,
    selector: Option<Selector>,
}

impl Choice {
    /// What is chosen, from files or of a cluster.
    ///
    /// # Errors
    /// A name that is none, or no cluster.
    pub(super) async fn chosen(
        &self,
        connection: &Connection,
        are_files: bool,
    ) -> Result<Chosen, ChoiceError> {
        let given = self.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let own = match given {
            Some(namespace) => Some(namespace.to_owned()),
            None if are_files => None,
            None => Some(connection.own_namespace().await?),
        };
        let namespace = own.clone().filter(|_| !self.all_namespaces);
        let place = |name: &String| {
            let mut place = Place::parse(name, given.filter(|_| !self.all_namespaces))?;
            place.namespace = place.namespace.or_else(|| namespace.clone());
            Ok::<_, PlaceError>(place)
        };
        let places = self.services.iter().map(place).collect::<Result<_, _>>()?;
        let selector = self.selector.as_ref().map(selector::selecting);
        Ok(Chosen { own, namespace, places, selector })
    }
}

/// Why it is not known which Services to show.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// An argument names no Service.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The namespace of the context is not known.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl ChoiceError {
    /// Whether the user must change the command.
    pub(super) fn is_usage(&self) -> bool {
        match self {
            Self::Place(_) => true,
            Self::Connect(error) => error.is_usage(),
        }
    }
}

impl Chosen {
    /// The only namespace that has to be read of a cluster, if there is one.
    pub(super) fn listed(&self) -> Option<&str> {
        let Some((first, others)) = self.places.split_first() else {
            return self.namespace.as_deref();
        };
        let namespace = first.namespace.as_deref();
        namespace.filter(|_| others.iter().all(|place| place.namespace == first.namespace))
    }

    /// Fails if a name is that of no Service.
    pub(super) fn check(&self, index: &Index) -> Result<(), Unknown> {
        let exists = |place: &&Place| index.services().any(|service| place.is(service));
        match self.places.iter().find(|place| !exists(place)) {
            Some(place) => Err(Unknown::of(place, index)),
            None => Ok(()),
        }
    }

    /// Whether a Service is shown.
    pub(super) fn has(&self, service: &Service) -> bool {
        if !self.places.is_empty() {
            return self.places.iter().any(|place| place.is(service));
        }
        self.namespace.as_deref().is_none_or(|it| *service.key.namespace == *it)
            && self.selector.as_ref().is_none_or(|it| it.selects(&service.labels))
    }

    /// Where Services are looked for, for a message.
    pub(super) fn place(&self, are_files: bool) -> String {
        if self.selector.is_some() {
            return "what was chosen by -l; do Services have such labels?".to_owned();
        }
        match &self.namespace {
            Some(namespace) => {
                format!("the namespace {namespace}; is that its name? -A shows all namespaces")
            }
            None if are_files => "what was read".to_owned(),
            None => "the cluster".to_owned(),
        }
    }
}
