//! Serving: what a request gets, with the fault that applies to it.

use std::{io, pin::pin};

use http::{Method, Request, Response};
use http_body_util::channel::Channel;
use serde_json::{Value, json};

use super::{FakeApi, State, watching::Watch, writing::write};
use crate::{
    collections::{CUSTOM, api_version, plural_and_group},
    faults::Effect,
    refusal::Refusal,
    request::{Call, Seen},
    respond::{Body, answer_with, page, respond, typed},
};

impl FakeApi {
    /// Answers a request. An error breaks its connection.
    pub(super) async fn handle(
        self,
        request: Request<kube::client::Body>,
    ) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let seen = Seen::of(&head, &body);
        let (reachable, effect) = self.with(|state| {
            state.requests.push(seen.clone());
            (state.reachable, state.faults.strike(&seen))
        });
        if !reachable {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.connected().await;
        if let Some(effect) = &effect {
            effect.before().await?;
        }
        if let Some(answer) = effect.as_ref().and_then(|effect| effect.answer(&seen)) {
            return Ok(answer_with(&answer).await);
        }
        let response = match self.serve(&head.method, &seen, effect.as_ref()).await {
            Ok(response) => response,
            Err(refusal) => refusal.respond().await,
        };
        self.connected().await;
        let Some(effect) = effect else { return Ok(response) };
        effect.after().await?;
        match effect.answer_after() {
            Some(answer) => Ok(answer_with(&answer).await),
            None => Ok(response),
        }
    }

    /// Waits until this replica is not cut off.
    async fn connected(&self) {
        loop {
            // Created before we read the state, so that no change is missed.
            let mut changed = pin!(self.pulse.notified());
            changed.as_mut().enable();
            if !self.with(|state| state.is_cut_off(self.caller)) {
                return;
            }
            changed.await;
        }
    }

    async fn serve(
        &self,
        method: &Method,
        seen: &Seen,
        effect: Option<&Effect>,
    ) -> Result<Response<Body>, Refusal> {
        if let Some(document) = self.with(|state| discovery(&seen.path, state)) {
            return Ok(respond(200, &document).await);
        }
        let call = Call::read(&seen.path, &seen.query).ok_or_else(Refusal::no_such_path)?;
        let (path, name) = (&call.collection, call.object());
        if CUSTOM.contains(&&**path) && !self.with(|state| state.installed.contains(&**path)) {
            return Err(Refusal::no_such_path());
        }
        if *method == Method::GET && call.name.is_none() {
            return if seen.is_watch() {
                self.watch(&call, effect).await
            } else {
                let mut list = self.with(|state| {
                    let version = shown(state, effect);
                    page(&mut state.store, &call, version)
                })?;
                if let (Some(Effect::First(objects)), Some(items)) =
                    (effect, list["items"].as_array_mut())
                {
                    items.truncate(*objects);
                }
                Ok(respond(200, &list).await)
            };
        }
        let (code, object) = if *method == Method::GET {
            (200, self.with(|state| state.store.get(path, &name))?)
        } else {
            self.change_by(self.caller, |state| write(&mut state.store, method, &call, seen))?
        };
        Ok(respond(code, &typed(path, object)).await)
    }

    async fn watch(&self, call: &Call, effect: Option<&Effect>) -> Result<Response<Body>, Refusal> {
        let version = self.with(|state| shown(state, effect));
        let mut watch = match Watch::new(self, call, version) {
            Err(refusal) if refusal.code == 410 && !self.with(|state| state.gone_as_status) => {
                return Ok(respond(200, &refusal.event()).await);
            }
            watch => watch?,
        };
        match effect {
            Some(Effect::CloseAtOnce) => return Ok(Response::new(Channel::new(1).1)),
            Some(Effect::Silence) => {
                let (sender, body) = Channel::new(1);
                // Stays open until the test ends.
                tokio::spawn(async move {
                    let _open = sender;
                    std::future::pending::<()>().await;
                });
                return Ok(Response::new(body));
            }
            Some(Effect::First(objects)) => watch.initial.truncate(*objects),
            Some(Effect::MarkAfter(wait)) => watch.mark_after = Some(*wait),
            Some(Effect::CloseBeforeMark) => watch.close_before_mark = true,
            Some(Effect::CloseAfter(wait)) => watch.close_after(*wait),
            Some(Effect::Repeat) => watch.repeats = true,
            Some(Effect::BlankBookmarks) => watch.blank_bookmarks = true,
            Some(Effect::Truncate) => watch.is_truncated = true,
            Some(Effect::Throttle(rate)) => watch.rate = Some(*rate),
            _ => {}
        }
        Ok(Response::new(watch.start(self.clone())))
    }
}

/// The document that names the custom resources of a group, if there are any.
fn discovery(path: &str, state: &State) -> Option<Value> {
    let version = path.strip_prefix("/apis/")?;
    let of_group = state.installed.iter().filter(|it| api_version(it) == version);
    let names: Vec<_> = of_group.map(|it| json!({ "name": plural_and_group(it).0 })).collect();
    let document = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": names,
    });
    (!names.is_empty()).then_some(document)
}

/// The version that a list shows. It is the newest unless a fault selects an old one.
fn shown(state: &State, effect: Option<&Effect>) -> u64 {
    match effect {
        Some(Effect::Stale(version)) => *version,
        _ => state.store.version,
    }
}
