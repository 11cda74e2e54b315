//! Placeholder: the empty slice that a Service without endpoints has, one per address type
//! (docs/semantics.md 4.3).

use super::{
    metadata,
    pack::{Draft, Group, Packing},
};
use crate::model::{
    address::AddressType, labels::Labels, port::Ports, service::Service, slice::Slice,
};

/// Adds a placeholder if nothing would be left of the `existing` slices of one address type. A
/// placeholder that is already there stays.
pub fn ensure(
    service: &Service,
    address_type: AddressType,
    existing: usize,
    packing: &mut Packing<'_>,
) {
    if packing.deletes.len() != existing || !packing.creates.is_empty() {
        return;
    }
    match packing.deletes.as_slice() {
        [only] if is_placeholder(service, only) => packing.unchanged.append(&mut packing.deletes),
        _ => packing
            .creates
            .push(Draft::fresh(service, Group { address_type, ports: Ports::default() })),
    }
}

/// Whether `slice` looks like a placeholder of `service`. One that a deleted Service of the same
/// name left behind does not count: the garbage collector is about to delete it.
fn is_placeholder(service: &Service, slice: &Slice) -> bool {
    // A label that is missing equals one that is empty.
    let differs = |a: &Labels, b: &Labels| {
        a.iter().any(|(key, value)| b.get(key).map_or("", AsRef::as_ref) != &**value)
    };
    let labels = metadata::labels(service);
    slice.endpoints.is_empty()
        && slice.ports.is_empty()
        && slice.is_owned_by(service.uid.as_ref())
        && !differs(&labels, &slice.meta.labels)
        && !differs(&slice.meta.labels, &labels)
}
