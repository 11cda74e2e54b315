//! Requests to the API server: the connection, and the list and watch requests in either encoding.
//! What follows from an answer, such as a retry or a relist, is decided in [`crate::control`].

pub mod connection;
pub(crate) mod event_stream;
mod page;
pub(crate) mod plugin;
pub mod proxy;
mod route;
pub(crate) mod source;
pub mod spacing;
pub(crate) mod token_file;
