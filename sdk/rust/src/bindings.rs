//! What is generated from the interfaces in `wit/`: one small world for each interface that a component
//! may export, so that it exports no more than it names, and one world of all that it may import.

#![allow(
    missing_docs,
    unreachable_pub,
    reason = "the generator documents items, not the modules around them"
)]
#![allow(unsafe_code, reason = "crossing the boundary of a component is the generator's unsafe code alone")]
#![allow(clippy::too_many_lines, reason = "the generator writes one function a crossing")]

/// Every capability. A function that is never called leaves no import behind.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r"
            package matrix:sdk;
            world imports {
                import matrix:node/types@0.1.0;
                import matrix:node/messaging@0.1.0;
                import matrix:node/memory@0.1.0;
                import matrix:node/grpc@0.1.0;
                import matrix:node/events@0.1.0;
                import matrix:node/program@0.1.0;
                import wasi:logging/logging@0.1.0-draft;
                import wasi:config/store@0.2.0-rc.1;
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
                import wasi:keyvalue/batch@0.2.0-draft;
            }
        ",
        additional_derives: [PartialEq],
        generate_all,
    });
}

pub mod agent {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package matrix:sdk; world agent { export matrix:node/agent@0.1.0; }",
        with: { "matrix:node/types@0.1.0": crate::bindings::imports::matrix::node::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_agent",
    });
}

pub mod stateful {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package matrix:sdk; world stateful { export matrix:node/stateful@0.1.0; }",
        pub_export_macro: true,
        export_macro_name: "export_stateful",
    });
}

pub mod player {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package matrix:sdk; world player { export matrix:node/player@0.1.0; }",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_player",
    });
}

pub mod learner {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package matrix:sdk; world learner { export matrix:node/learner@0.1.0; }",
        with: { "matrix:node/types@0.1.0": crate::bindings::imports::matrix::node::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_learner",
    });
}

pub mod rules {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package matrix:sdk; world rules { export matrix:node/rules@0.1.0; }",
        with: { "matrix:node/types@0.1.0": crate::bindings::imports::matrix::node::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_rules",
    });
}

pub mod interceptor {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package matrix:sdk; world interceptor { export matrix:node/interceptor@0.1.0; }",
        with: { "matrix:node/types@0.1.0": crate::bindings::imports::matrix::node::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_interceptor",
    });
}
