//! The gRPC interface of a Matrix OS node: `matrix/v1/*.proto`, one service a file, and the
//! messages, clients and servers generated from them.

/// Package `matrix.v1`.
pub mod v1 {
    tonic::include_proto!("matrix.v1");
}

/// The encoded `FileDescriptorSet` of every file in `matrix.v1`, as gRPC reflection serves it.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("matrix_descriptor");
