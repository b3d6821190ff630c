//! One live component: entering it, and leaving it in one piece or not at all.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{self, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::{Store, StoreContextMut, Trap, UpdateDeadline};

use super::component::Component;
use super::limits::LIFTED_BYTES_MAX;
use super::pace::{LONG, Lane, Pace, Share};
use super::state::{GuestState, Moment};
use crate::tasks::{alert, workers};
use crate::telemetry::logs::sanitize;

/// Why a guest is no more. Its store must be dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Crash {
    /// The guest trapped by itself: a panic, an abort, an invalid operation.
    #[error("trapped: {0}")]
    Trap(String),
    /// The guest used more time than it has.
    #[error("ran longer than `limits.call_ms`, {0} ms")]
    Deadline(u128),
    /// The guest used more fuel than it has.
    #[error("used more fuel than `limits.call_fuel`, {0}")]
    Fuel(u64),
    /// The guest recursed too deeply.
    #[error("used up its stack")]
    Stack,
    /// The guest was denied a resource, and could not go on.
    #[error("was denied {0}")]
    Denied(String),
    /// The guest returned more than the host copies.
    #[error("handed over more bytes in one call than the host copies, {0}")]
    Lifted(usize),
    /// The guest broke the rules of its interface.
    #[error("broke the contract of {function}: {reason}")]
    Contract {
        /// The function of `wit/`.
        function: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// The node has no room for another instance.
    #[error("the node has no room for it: {0}")]
    NoRoom(String),
}

impl Crash {
    /// A word for metrics and events.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline(_) => "deadline",
            Self::Fuel(_) => "fuel",
            Self::Stack => "stack",
            Self::Denied(_) => "denied",
            Self::Lifted(_) => "lifted",
            Self::Contract { .. } => "contract",
            Self::NoRoom(_) => "no-room",
        }
    }
}

/// One instance in its store.
pub(crate) struct Guest {
    /// Taken while it is called on another thread; for good, where such a call was given up.
    store: Option<Store<GuestState>>,
    instance: Instance,
    pace: Arc<Pace>,
    fuel_used: u64,
    share: Share,
}

impl Guest {
    /// Instantiates a component.
    pub(crate) async fn new(component: &Component, state: GuestState) -> Result<Self, Crash> {
        let (pre, pace) = (component.pre(), component.pace().clone());
        let paced = (!state.apart).then(|| pace.clone());
        let mut store = store(component, state, move |context| epoch(context, paced.as_deref()));
        let lane = lane(&store, &pace);
        let lane = arm(&mut store, lane, Moment::default(), LIFTED_BYTES_MAX);
        let instance = match lane {
            Lane::Direct => pre.instantiate(&mut store),
            Lane::Fiber => pre.instantiate_async(&mut store).await,
            Lane::Slow => {
                let pre = pre.clone();
                let instantiated = pace.slowly(async move {
                    let instance = pre.instantiate_async(&mut store).await;
                    store.data_mut().budget.pause();
                    (store, instance)
                });
                let (back, instance) = instantiated.await?;
                store = back;
                instance
            }
        };
        if lane != Lane::Slow {
            store.data_mut().budget.pause();
        }
        let mut share = Share::of(component);
        let fuel_used = count(&mut store, &mut share);
        let instance = instance.map_err(|error| unborn(&mut store, error))?;
        Ok(Self { store: Some(store), instance, pace, fuel_used, share })
    }

    /// Instantiates a component that imports nothing that waits, on the caller's stack, where it is to be called by
    /// [`Guest::call_here`] only. How quick its calls are is not remembered.
    pub(crate) fn new_here(component: &Component, state: GuestState) -> Result<Self, Crash> {
        let (pre, pace) = (component.pre(), component.pace().clone());
        let mut store = store(component, state, |context| epoch(context, None));
        arm(&mut store, Lane::Direct, Moment::default(), LIFTED_BYTES_MAX);
        let instance = pre.instantiate(&mut store).map_err(|error| unborn(&mut store, error))?;
        Ok(Self { store: Some(store), instance, pace, fuel_used: 0, share: Share::of(component) })
    }

    /// A function that the component exports, its types checked.
    pub(crate) fn function<P, R>(
        &mut self,
        index: &ComponentExportIndex,
        name: &'static str,
    ) -> Result<TypedFunc<P, R>, Crash>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let store = self.store.as_mut().ok_or_else(given_up)?;
        self.instance
            .get_typed_func(store, index)
            .map_err(|error| Crash::Contract { function: name, reason: format!("{error:#}") })
    }

    /// Enters the guest. After an error the guest must not be entered again.
    pub(crate) async fn call<P, R>(
        &mut self,
        function: &TypedFunc<P, R>,
        parameters: P,
        moment: Moment,
    ) -> Result<R, Crash>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.call_lifting(function, parameters, moment, LIFTED_BYTES_MAX).await
    }

    /// Enters the guest, and lets it hand over as much as `lifted_bytes_max`.
    pub(crate) async fn call_lifting<P, R>(
        &mut self,
        function: &TypedFunc<P, R>,
        parameters: P,
        moment: Moment,
        lifted_bytes_max: usize,
    ) -> Result<R, Crash>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let store = self.store.as_mut().ok_or_else(given_up)?;
        let lane = lane(store, &self.pace);
        let lane = arm(store, lane, moment, lifted_bytes_max);
        let result = match lane {
            Lane::Direct => function.call(&mut *store, parameters),
            Lane::Fiber => function.call_async(&mut *store, parameters).await,
            Lane::Slow => {
                let (function, mut store) = (*function, self.store.take().ok_or_else(given_up)?);
                let called = self.pace.slowly(async move {
                    let result = function.call_async(&mut store, parameters).await;
                    // A thread's clock is read on that thread.
                    store.data_mut().budget.pause();
                    (store, result)
                });
                let (store, result) = called.await?;
                self.store = Some(store);
                return self.left(result);
            }
        };
        store.data_mut().budget.pause();
        self.left(result)
    }

    /// [`Guest::call_lifting`], on the caller's stack: for a guest of [`Guest::new_here`].
    pub(crate) fn call_here<P, R>(
        &mut self,
        function: &TypedFunc<P, R>,
        parameters: P,
        moment: Moment,
        lifted_bytes_max: usize,
    ) -> Result<R, Crash>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let store = self.store.as_mut().ok_or_else(given_up)?;
        arm(store, Lane::Direct, moment, lifted_bytes_max);
        let result = function.call(&mut *store, parameters);
        store.data_mut().budget.pause();
        self.left(result)
    }

    /// The guest has been left: counts what it used, and reads why where it failed.
    fn left<R>(&mut self, result: wasmtime::Result<R>) -> Result<R, Crash> {
        let store = self.store.as_mut().ok_or_else(given_up)?;
        self.fuel_used += count(store, &mut self.share);
        result.map_err(|error| crash(store, error))
    }

    /// It is given so many messages.
    pub(crate) fn received(&self, messages: usize) {
        if let Some(store) = &self.store {
            store.data().usage.received(messages as u64);
        }
    }

    /// When it was entered last.
    pub(crate) fn entered(&self) -> Instant {
        self.store.as_ref().map_or_else(Instant::now, |store| store.data().budget.entry())
    }

    /// Whether it did anything that others can see since it was entered last.
    pub(crate) fn has_acted(&self) -> bool {
        self.store.as_ref().is_none_or(|store| store.data().acted) || self.has_called()
    }

    /// Whether it called anybody outside the realm since it was entered last.
    pub(crate) fn has_called(&self) -> bool {
        let sent =
            |state: &GuestState| state.capabilities.http.as_ref().is_some_and(|http| http.has_called());
        self.store.as_ref().is_none_or(|store| store.data().called || sent(store.data()))
    }

    /// Fuel used since the instance was made.
    pub(crate) fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    /// Linear memory in use, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, |store| store.data().limiter.memory_bytes())
    }

    /// The host's side.
    ///
    /// # Panics
    /// After a call that was given up: the instance went with it.
    pub(crate) fn state(&mut self) -> &mut GuestState {
        self.store.as_mut().expect("whoever gives up a call drops the instance").data_mut()
    }
}

/// Counts what the entry that has ended used, and returns its fuel.
fn count(store: &mut Store<GuestState>, share: &mut Share) -> u64 {
    let left = store.get_fuel().unwrap_or(0);
    let state = store.data();
    let (cpu, fuel) = (state.budget.used(), state.call_fuel.saturating_sub(left));
    state.usage.ran(cpu, fuel);
    share.add(cpu, fuel);
    fuel
}

/// Where the guest's next call is made.
fn lane(store: &Store<GuestState>, pace: &Pace) -> Lane {
    if store.data().apart { Lane::Slow } else { pace.lane() }
}

/// A store for one instance, which is called back at each epoch.
fn store(
    component: &Component,
    mut state: GuestState,
    epoch: impl FnMut(StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> + Send + Sync + 'static,
) -> Store<GuestState> {
    state.limiter.draw_on(&component.pace().ground().memory);
    state.program = component.program().clone();
    let mut store = Store::new(component.pre().engine(), state);
    store.limiter(|state| &mut state.limiter);
    store.epoch_deadline_callback(epoch);
    store
}

/// Why there is no instance.
fn unborn(store: &mut Store<GuestState>, error: wasmtime::Error) -> Crash {
    match error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>() {
        Some(full) => Crash::NoRoom(format!("{full} (`engine.live_instances_max`)")),
        None => crash(store, error),
    }
}

fn given_up() -> Crash {
    Crash::Trap("its last call was given up".into())
}

/// Gives the guest its full time and fuel for the entry that follows, which runs on `lane`: a deadline that is set
/// once would bound the life of the store instead.
fn arm(store: &mut Store<GuestState>, lane: Lane, moment: Moment, lifted_bytes_max: usize) -> Lane {
    store.set_hostcall_fuel(lifted_bytes_max);
    let state = store.data_mut();
    state.moment = moment;
    state.time_passed();
    state.lane = lane;
    state.overrun = false;
    (state.acted, state.called) = (false, false);
    if let Some(http) = &mut state.capabilities.http {
        http.enter();
    }
    state.budget.enter();
    // What it was denied before, and survived, is no reason for what comes now.
    let _ = state.limiter.take_denied();
    let fuel = state.call_fuel;
    store.set_epoch_deadline(1);
    // Fails only without `consume_fuel`, which the engine always has.
    let _ = store.set_fuel(fuel);
    lane
}

/// An epoch has passed, and the guest still runs. `pace` remembers how quick it is, if anything does.
fn epoch(
    mut context: StoreContextMut<'_, GuestState>,
    pace: Option<&Pace>,
) -> wasmtime::Result<UpdateDeadline> {
    let state = context.data_mut();
    state.time_passed();
    let long = state.budget.charge() >= LONG;
    if long {
        alert::computing();
    }
    if let Some(pace) = pace.filter(|_| long) {
        pace.note_long();
    }
    if state.budget.is_spent() {
        state.overrun = true;
        return Ok(UpdateDeadline::Interrupt);
    }
    if state.lane == Lane::Slow {
        return Ok(UpdateDeadline::YieldCustom(1, Box::pin(state.budget.give_way())));
    }
    // It stays on this thread to its end, or until it waits: left at an epoch, it would only come back to
    // another thread that all others need.
    if long {
        workers::held_up();
    }
    Ok(UpdateDeadline::Continue(1))
}

/// Reads the reason out of wasmtime's error, the host's own records first: they know better.
fn crash(store: &mut Store<GuestState>, error: wasmtime::Error) -> Crash {
    let state = store.data_mut();
    if state.overrun {
        return Crash::Deadline(state.budget.call().as_millis());
    }
    if let Some(denied) = state.limiter.take_denied() {
        return denied;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return Crash::Fuel(state.call_fuel),
        Some(Trap::StackOverflow) => return Crash::Stack,
        _ => {}
    }
    let reason = format!("{:#}", error.root_cause());
    if reason.contains("fuel") && reason.contains("hostcall") {
        return Crash::Lifted(store.hostcall_fuel());
    }
    Crash::Trap(reason)
}

/// A reason that a guest gave, as one short and harmless line: it goes into errors, events and records.
pub(crate) fn reason(text: String) -> String {
    match sanitize(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(line) => line,
    }
}

/// Finds functions in a component's exported interfaces, once for all its instances.
pub(crate) struct Exports<'a> {
    component: &'a component::Component,
    interface: ComponentExportIndex,
}

impl<'a> Exports<'a> {
    /// The interface `matrix:node/NAME`, if the component exports it.
    pub(crate) fn of(component: &'a component::Component, name: &str) -> Option<Self> {
        let name = format!("matrix:node/{name}@0.1.0");
        component.get_export_index(None, &name).map(|interface| Self { component, interface })
    }

    /// One function of the interface.
    pub(crate) fn function(&self, name: &'static str) -> Result<ComponentExportIndex, Crash> {
        self.component
            .get_export_index(Some(&self.interface), name)
            .ok_or(Crash::Contract { function: name, reason: "it is not exported".into() })
    }
}
