//! The only `bindgen!`: Rust types and host traits for everything in `wit/`.

#![expect(missing_docs, reason = "generated from wit/, where every item is documented")]

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package matrix:host;

        world host {
            include matrix:node/soul@0.1.0;
            include matrix:node/matrix-rules@0.1.0;
            include matrix:node/transport@0.1.0;
        }
    ",
    world: "matrix:host/host",
    // Only what may wait is asynchronous: a component that imports none of it is called without
    // a stack of its own.
    imports: {
        "matrix:node/messaging@0.1.0.ask": async | trappable,
        "matrix:node/grpc@0.1.0.call": async | trappable,
        "matrix:node/memory@0.1.0.remember": async | trappable,
        "matrix:node/memory@0.1.0.recall": async | trappable,
        "matrix:node/memory@0.1.0.forget": async | trappable,
        "matrix:node/memory@0.1.0.usage": async | trappable,
        "wasi:keyvalue/store@0.2.0-draft.[method]bucket.get": async | trappable,
        "wasi:keyvalue/store@0.2.0-draft.[method]bucket.set": async | trappable,
        "wasi:keyvalue/store@0.2.0-draft.[method]bucket.delete": async | trappable,
        "wasi:keyvalue/store@0.2.0-draft.[method]bucket.exists": async | trappable,
        "wasi:keyvalue/store@0.2.0-draft.[method]bucket.list-keys": async | trappable,
        "wasi:keyvalue/atomics@0.2.0-draft.increment": async | trappable,
        "wasi:keyvalue/batch@0.2.0-draft.get-many": async | trappable,
        "wasi:keyvalue/batch@0.2.0-draft.set-many": async | trappable,
        "wasi:keyvalue/batch@0.2.0-draft.delete-many": async | trappable,
        default: trappable,
    },
    with: {
        "wasi:keyvalue/store@0.2.0-draft.bucket": crate::capabilities::keyvalue::Bucket,
    },
    require_store_data_send: true,
});
