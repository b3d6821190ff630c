/* The gRPC services of the node for tests. */
#include "matrix_fake_grpc.h"

static bool nothing(const char *endpoint, const char *method, matrix_bytes request, matrix_buffer *answer, matrix_grpc_status *status) {
    (void)method, (void)request, (void)answer;
    status->code = MATRIX_GRPC_FAILED_PRECONDITION;
    status->by_node = true;
    return matrix_refuse(&status->message, "this node has no gRPC endpoint `%s`", endpoint);
}

bool (*fake_service)(const char *, const char *, matrix_bytes, matrix_buffer *, matrix_grpc_status *) = nothing;

bool matrix_grpc(const char *endpoint, const char *method, matrix_bytes request, uint32_t timeout_ms, matrix_buffer *answer,
                 matrix_grpc_status *status) {
    (void)timeout_ms;
    matrix_clear(answer);
    matrix_clear(&status->message);
    status->code = MATRIX_GRPC_OK;
    status->by_node = false;
    return fake_service(endpoint, method, request, answer, status);
}
