//! How those who send traffic read slices: pure models of their rules, one file for each.

pub mod kube_proxy;
