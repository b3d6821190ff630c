/**
 * gRPC services outside the realm, by the names that the node's operator gave them. They are there, with the grant `grpc`, while a
 * message is handled or a tick is played. Requests and answers are encoded protobuf messages.
 */
#ifndef MATRIX_GRPC_H
#define MATRIX_GRPC_H

#include "matrix_soul.h"

/** What went wrong, as gRPC numbers it. */
typedef enum {
    MATRIX_GRPC_OK,
    MATRIX_GRPC_CANCELLED,
    MATRIX_GRPC_UNKNOWN,
    MATRIX_GRPC_INVALID_ARGUMENT,
    MATRIX_GRPC_DEADLINE_EXCEEDED,
    MATRIX_GRPC_NOT_FOUND,
    MATRIX_GRPC_ALREADY_EXISTS,
    MATRIX_GRPC_PERMISSION_DENIED,
    MATRIX_GRPC_RESOURCE_EXHAUSTED,
    MATRIX_GRPC_FAILED_PRECONDITION,
    MATRIX_GRPC_ABORTED,
    MATRIX_GRPC_OUT_OF_RANGE,
    MATRIX_GRPC_UNIMPLEMENTED,
    MATRIX_GRPC_INTERNAL,
    MATRIX_GRPC_UNAVAILABLE,
    MATRIX_GRPC_DATA_LOSS,
    MATRIX_GRPC_UNAUTHENTICATED,
} matrix_grpc_code;

/** Why a call has no answer. Begin with `{0}`; `matrix_free` gives the room of the message back. */
typedef struct {
    matrix_grpc_code code;
    /** In words. */
    matrix_buffer message;
    /** The node says so and not the service: it refused the call, did not reach the service, or had no answer in time. */
    bool by_node;
} matrix_grpc_status;

/**
 * Calls a unary method, `package.Service/Method`, and waits for its answer: at most `timeout_ms`, and no longer than the operator and
 * the deadline of the message let it; 0 leaves it to these. The answer is written to `answer`. Returns false where there is none, and
 * writes why into `status`.
 */
bool matrix_grpc(const char *endpoint, const char *method, matrix_bytes request, uint32_t timeout_ms, matrix_buffer *answer,
                 matrix_grpc_status *status);

#endif
