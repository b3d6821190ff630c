//! Compiles `matrix/**/*.proto` without needing `protoc` on the machine.

use prost::Message as _;

const FILES: [&str; 13] = [
    "matrix/v1/common.proto",
    "matrix/v1/components.proto",
    "matrix/v1/souls.proto",
    "matrix/v1/matrices.proto",
    "matrix/v1/events.proto",
    "matrix/v1/logs.proto",
    "matrix/v1/kv.proto",
    "matrix/v1/cluster.proto",
    "matrix/v1/interceptors.proto",
    "matrix/v1/access.proto",
    "matrix/v1/observe.proto",
    "matrix/v1/learning.proto",
    "matrix/v1/memory.proto",
];

/// What nodes say to each other: no services.
const WIRE: [&str; 13] = [
    "matrix/wire/v1/message.proto",
    "matrix/wire/v1/call.proto",
    "matrix/wire/v1/raft.proto",
    "matrix/wire/v1/realm.proto",
    "matrix/wire/v1/souls.proto",
    "matrix/wire/v1/turns.proto",
    "matrix/wire/v1/blob.proto",
    "matrix/wire/v1/admin.proto",
    "matrix/wire/v1/runs.proto",
    "matrix/wire/v1/backup.proto",
    "matrix/wire/v1/learning.proto",
    "matrix/wire/v1/memory.proto",
    "matrix/wire/v1/soul_file.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=matrix");
    let descriptors = protox::compile(FILES, ["."])?;
    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script by its environment")]
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("matrix_descriptor.bin"), descriptors.encode_to_vec())?;
    let wire = protox::compile(WIRE, ["."])?;
    std::fs::write(out.join("matrix_wire_descriptor.bin"), wire.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".matrix.v1")
        .build_client(true)
        .build_server(true)
        .compile_fds(descriptors)?;
    tonic_prost_build::configure().bytes(".matrix.wire.v1").compile_fds(wire)?;
    Ok(())
}
