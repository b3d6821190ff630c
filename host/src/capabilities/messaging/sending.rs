//! `send`: names and media types are read where the guest has them, and of a message to somebody who was
//! written to before only the body is copied.

use bytes::Bytes;
use wasmtime::component::{ComponentType, Lift, Linker, WasmList, WasmStr};
use wasmtime::{AsContextMut as _, StoreContextMut};

use super::super::rehearsal::Deed;
use super::super::types;
use super::{Ctx, GuestMoment, ctx};
use crate::ids::{IdError, MessageId};
use crate::runtime::bindings::matrix::node::messaging::SendError as WitError;
use crate::runtime::bindings::matrix::node::types::MessageId as WitId;
use crate::runtime::state::GuestState;
use crate::transport::directory::Route;
use crate::transport::envelope::{Address, CONTENT_TYPE_BYTES_MAX, Content, SendError};

/// Whom most Souls write to fits in here; whoever writes to more looks some of them up each time.
const KNOWN_MAX: usize = 8;

/// `address` of `wit/types.wit`, where the guest has it.
#[derive(ComponentType, Lift)]
#[component(variant)]
enum To {
    #[component(name = "soul")]
    Soul(WasmStr),
    #[component(name = "matrix")]
    Matrix(WasmStr),
    #[component(name = "topic")]
    Topic(WasmStr),
    #[component(name = "client")]
    Client(WasmStr),
}

/// `content` of `wit/types.wit`, where the guest has it.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Said {
    #[component(name = "content-type")]
    content_type: WasmStr,
    body: WasmList<u8>,
}

/// Whom a guest has written to, and where they were found.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The version of the directory in which they were found.
    version: u64,
    found: Vec<(Address, Route)>,
    /// The place of the one that gives way to the next.
    oldest: usize,
}

/// Whom a message is for.
enum Whom {
    /// At this place in [`Known`].
    Known(usize),
    /// Somebody new, or known at another time.
    New(Address),
}

/// Puts this `send` into the place of the generated one, which copies everything.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = linker.instance("matrix:node/messaging@0.1.0")?.func_wrap("send", sent);
    linker.allow_shadowing(false);
    added
}

fn sent(
    mut store: StoreContextMut<'_, GuestState>,
    (to, said): (To, Said),
) -> wasmtime::Result<(Result<WitId, WitError>,)> {
    let sent = send(store.as_context_mut(), &to, &said)?;
    store.data().usage.said(sent.as_ref().err());
    Ok((sent.map(types::message_id).map_err(types::send_error),))
}

/// The outer error is a trap: a text that is none.
fn send(
    mut store: StoreContextMut<'_, GuestState>,
    to: &To,
    said: &Said,
) -> wasmtime::Result<Result<MessageId, SendError>> {
    // What is not sent is not copied either.
    if let Err(error) = ctx(store.data_mut())?.charge(said.body.len()) {
        return Ok(Err(error));
    }
    let media_type = said.content_type.to_str(&store)?;
    if media_type.len() > CONTENT_TYPE_BYTES_MAX {
        return Ok(Err(SendError::TooLarge { limit: CONTENT_TYPE_BYTES_MAX as u64 }));
    }
    let content = Content {
        content_type: (*media_type).into(),
        body: Bytes::copy_from_slice(said.body.as_le_slice(&store)),
    };
    let whom = match whom(&store, to)? {
        Ok(whom) => whom,
        Err(error) => return Ok(Err(SendError::Denied(error.to_string()))),
    };
    if store.data().rehearsal.is_some() {
        return rehearse(store.data_mut(), whom, content);
    }
    let (moment, now_ms) = (store.data().moment, store.data_mut().now_ms());
    // Who judges the message has a time of its own: it is not the sender's.
    let judged = ctx(store.data_mut())?.router.passage().is_held();
    if judged {
        store.data_mut().budget.pause();
    }
    let sent = ctx(store.data_mut())?.post(moment, now_ms, whom, content);
    if judged {
        store.data_mut().budget.resume();
    }
    Ok(sent)
}

/// Writes down what is not sent.
fn rehearse(
    state: &mut GuestState,
    whom: Whom,
    content: Content,
) -> wasmtime::Result<Result<MessageId, SendError>> {
    let now_ms = state.now_ms();
    let ctx = ctx(state)?;
    let address = match whom {
        Whom::Known(place) => ctx.known.found[place].0.clone(),
        Whom::New(address) => address,
    };
    if let Err(reason) = ctx.grants.may_send(&address) {
        return Ok(Err(SendError::Denied(reason)));
    }
    let id = ctx.router.stamp(&mut ctx.ids, now_ms).id();
    let noted = state.noted(|| Deed::Send(address, content));
    Ok(if noted == Some(true) { Ok(id) } else { Err(SendError::QuotaExceeded) })
}

fn whom(store: &StoreContextMut<'_, GuestState>, to: &To) -> wasmtime::Result<Result<Whom, IdError>> {
    let known = store.data().capabilities.messaging.as_ref();
    let known = known.filter(|ctx| ctx.known.version == ctx.router.directory().version());
    let known = known.map_or(&[][..], |ctx| &ctx.known.found);
    let is = |at: &Address, name: &str| match (to, at) {
        (To::Soul(_), Address::Soul(known)) => known.as_str() == name,
        (To::Matrix(_), Address::Matrix(known)) => known.as_str() == name,
        _ => false,
    };
    let (To::Soul(name) | To::Matrix(name) | To::Topic(name) | To::Client(name)) = to;
    let name = name.to_str(store)?;
    if let Some(place) = known.iter().position(|(at, _)| is(at, &name)) {
        return Ok(Ok(Whom::Known(place)));
    }
    let address = match to {
        To::Soul(_) => name.parse().map(Address::Soul),
        To::Matrix(_) => name.parse().map(Address::Matrix),
        To::Topic(_) => name.parse().map(Address::Topic),
        To::Client(_) => name.parse().map(Address::Client),
    };
    Ok(address.map(Whom::New))
}

impl Ctx {
    fn post(
        &mut self,
        moment: GuestMoment,
        now_ms: u64,
        whom: Whom,
        content: Content,
    ) -> Result<MessageId, SendError> {
        let stamp = self.router.stamp(&mut self.ids, now_ms);
        let place = match whom {
            Whom::Known(place) => place,
            Whom::New(address) => match self.meet(&address)? {
                Some(place) => place,
                None => return self.router.send_stamped(self.draft(moment, address, content), stamp),
            },
        };
        let (address, route) = &self.known.found[place];
        self.router.send_by(self.draft(moment, address.clone(), content), stamp, route)
    }

    /// Looks somebody up who may be written to, and returns the place in [`Known`]; none: nobody has this address.
    fn meet(&mut self, address: &Address) -> Result<Option<usize>, SendError> {
        self.grants.may_send(address).map_err(SendError::Denied)?;
        // Read before the look-up: what changes meanwhile makes what is found here old.
        let version = self.router.directory().version();
        let Some(route) = self.router.directory().route(address) else { return Ok(None) };
        let known = &mut self.known;
        if known.version != version {
            *known = Known { version, ..Known::default() };
        }
        if known.found.len() < KNOWN_MAX {
            known.found.push((address.clone(), route));
            return Ok(Some(known.found.len() - 1));
        }
        let place = known.oldest;
        known.found[place] = (address.clone(), route);
        known.oldest = (place + 1) % KNOWN_MAX;
        Ok(Some(place))
    }
}
