//! Place: which Service is meant.

use crate::{cluster::Index, model::service::Service, plain::plain};

/// Which Service is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its namespace; `None` for the only one that has such a Service.
    pub(super) namespace: Option<String>,
    name: String,
}

/// Why an argument names no Service.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The name of the Service cannot be one.
    #[error("{} is no Service: give its name, or NAMESPACE/NAME", plain(.0))]
    Name(String),
    /// Two namespaces are given.
    #[error("-n {} does not agree with {}: leave out one of the namespaces", plain(.0), plain(.1))]
    Namespaces(String, String),
}

/// Why there is no such Service.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// There is none of this name.
    #[error("there is no Service {}{}", plain(place), hint(others))]
    Missing {
        /// What was looked for.
        place: String,
        /// Services with a similar name.
        others: Vec<String>,
    },
    /// There are several.
    #[error("there is more than one Service {}: {}; choose with -n", plain(name), listed(found))]
    Several {
        /// The name.
        name: String,
        /// All of them.
        found: Vec<String>,
    },
}

fn hint(others: &[String]) -> String {
    if others.is_empty() {
        "; closehaul plan lists all Services".to_owned()
    } else {
        format!("; there is {}", listed(others))
    }
}

fn listed(names: &[String]) -> String {
    plain(&names.join(", "))
}

impl Place {
    /// `[NAMESPACE/]NAME`.
    pub(super) fn parse(text: &str, namespace: Option<&str>) -> Result<Self, PlaceError> {
        let (own, name) =
            text.split_once('/').map_or((None, text), |(own, name)| (Some(own), name));
        if name.is_empty() || name.contains('/') || own == Some("") {
            return Err(PlaceError::Name(text.to_owned()));
        }
        match (own, namespace) {
            (Some(own), Some(given)) if own != given => {
                Err(PlaceError::Namespaces(given.to_owned(), text.to_owned()))
            }
            _ => {
                Ok(Self { namespace: own.or(namespace).map(str::to_owned), name: name.to_owned() })
            }
        }
    }

    /// Whether this Service is meant.
    pub(super) fn is(&self, service: &Service) -> bool {
        *service.key.name == *self.name
            && self.namespace.as_deref().is_none_or(|it| *service.key.namespace == *it)
    }

    /// The Service.
    pub(super) fn find<'a>(&self, index: &'a Index) -> Result<&'a Service, Unknown> {
        let mut found: Vec<&Service> =
            index.services().filter(|service| self.is(service)).collect();
        match found[..] {
            [one] => Ok(one),
            [] => Err(Unknown::of(self, index)),
            _ => {
                found.sort_unstable_by(|one, other| one.key.cmp(&other.key));
                let found = found.into_iter().map(|service| service.key.to_string()).collect();
                Err(Unknown::Several { name: self.name.clone(), found })
            }
        }
    }
}

impl Unknown {
    /// There is no such Service, but perhaps one with a similar name.
    pub(super) fn of(place: &Place, index: &Index) -> Self {
        let is_near = |service: &&Service| {
            let name = &*service.key.name;
            name == place.name || strsim::levenshtein(name, &place.name) <= 2
        };
        let near = index.services().filter(is_near);
        let mut others: Vec<_> = near.map(|service| service.key.to_string()).collect();
        others.sort_unstable();
        let place = match &place.namespace {
            Some(namespace) => format!("{namespace}/{}", place.name),
            None => place.name.clone(),
        };
        Self::Missing { place, others }
    }
}
