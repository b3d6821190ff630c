//! The macros that turn an author's type into a component.

/// Makes a component of a type that is a [`Soul`](crate::Soul). After the type come the other
/// interfaces that the component exports: any of `stateful`, `player` and `learner`.
///
/// Exports exist on WebAssembly only: elsewhere the macro makes nothing, and the type can be tested.
#[macro_export]
macro_rules! soul {
    ($soul:ty $(: $($more:ident),+ $(,)?)?) => {
        $crate::__home!($soul, {
            $crate::bindings::agent::export_agent!(Home with_types_in $crate::bindings::agent);
            $($($crate::__export!($more);)+)?
        });
    };
}

/// Makes a component of a type that is [`Rules`](crate::Rules): it exports `rules` and `stateful`.
#[macro_export]
macro_rules! rules {
    ($rules:ty) => {
        $crate::__home!($rules, {
            $crate::bindings::rules::export_rules!(Home with_types_in $crate::bindings::rules);
            $crate::__export!(stateful);
        });
    };
}

/// Makes a component of a type that is an [`Interceptor`](crate::Interceptor) and has a `Default`.
#[macro_export]
macro_rules! interceptor {
    ($interceptor:ty) => {
        $crate::__home!($interceptor, {
            $crate::bindings::interceptor::export_interceptor!(Home with_types_in $crate::bindings::interceptor);
        });
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (stateful) => {
        $crate::bindings::stateful::export_stateful!(Home with_types_in $crate::bindings::stateful);
    };
    (player) => {
        $crate::bindings::player::export_player!(Home with_types_in $crate::bindings::player);
    };
    (learner) => {
        $crate::bindings::learner::export_learner!(Home with_types_in $crate::bindings::learner);
    };
    ($other:ident) => {
        compile_error!("a Soul exports any of `stateful`, `player` and `learner`, and nothing else");
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __home {
    ($inhabitant:ty, { $($exports:tt)* }) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Home;

            ::std::thread_local! {
                static PLACE: ::std::cell::RefCell<::std::option::Option<$inhabitant>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            impl $crate::home::Home for Home {
                type Inhabitant = $inhabitant;

                fn with<R>(visit: impl FnOnce(&mut ::std::option::Option<$inhabitant>) -> R) -> R {
                    PLACE.with_borrow_mut(visit)
                }
            }

            $($exports)*
        };
    };
}

/// Logs a line; the arguments are those of `format!`.
#[macro_export]
macro_rules! trace {
    ($($text:tt)+) => { $crate::__log!(Trace, $($text)+) };
}

/// Logs a line for whoever debugs; the arguments are those of `format!`.
#[macro_export]
macro_rules! debug {
    ($($text:tt)+) => { $crate::__log!(Debug, $($text)+) };
}

/// Logs a line for whoever watches; the arguments are those of `format!`.
#[macro_export]
macro_rules! info {
    ($($text:tt)+) => { $crate::__log!(Info, $($text)+) };
}

/// Logs that something may be wrong; the arguments are those of `format!`.
#[macro_export]
macro_rules! warn {
    ($($text:tt)+) => { $crate::__log!(Warn, $($text)+) };
}

/// Logs that something is wrong; the arguments are those of `format!`.
#[macro_export]
macro_rules! error {
    ($($text:tt)+) => { $crate::__log!(Error, $($text)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($text:tt)+) => {
        $crate::logging::log($crate::logging::Level::$level, ::std::module_path!(), &::std::format!($($text)+))
    };
}
