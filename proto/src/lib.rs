//! The gRPC interface of a Matrix OS node: `matrix/v1/*.proto`, one service a file, and the
//! messages, clients and servers generated from them; what nodes say to each other, `matrix/wire/v1/*.proto`; and the
//! formats of a [`backup`], of a [`soul_file`], of the [`audit`] log, and of a component's [`signature`]; and a client of the KV
//! that sends together what many callers ask: the [`pipeline`].

pub mod audit;
pub mod backup;
pub mod pipeline;
pub mod signature;
pub mod soul_file;

use tonic::Code;

/// Package `matrix.v1`.
pub mod v1 {
    tonic::include_proto!("matrix.v1");
}

/// Package `matrix.wire.v1`: what nodes say to each other.
pub mod wire {
    tonic::include_proto!("matrix.wire.v1");
}

/// The encoded `FileDescriptorSet` of every file in `matrix.v1`, as gRPC reflection serves it.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("matrix_descriptor");

/// The same of every file in `matrix.wire.v1`.
pub const WIRE_FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("matrix_wire_descriptor");

/// The name of a status code, as gRPC writes it (github.com/grpc/grpc, `doc/statuscodes.md`).
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
