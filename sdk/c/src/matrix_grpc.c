/* How a Soul in C reaches services: between the generated bindings and what `matrix_grpc.h` promises. */
#include "matrix_grpc.h"

#include "soul.h"

bool matrix_grpc(const char *endpoint, const char *method, matrix_bytes request, uint32_t timeout_ms, matrix_buffer *answer,
                 matrix_grpc_status *status) {
    matrix_bytes name = matrix_text(endpoint), path = matrix_text(method);
    /* What is lent to the node for the call: it only reads. */
    soul_string_t where = {(uint8_t *)(uintptr_t)name.data, name.length}, what = {(uint8_t *)(uintptr_t)path.data, path.length};
    soul_list_u8_t told = {(uint8_t *)(uintptr_t)request.data, request.length}, found;
    matrix_node_grpc_status_t failed;
    bool is_answered = matrix_node_grpc_call(&where, &what, &told, timeout_ms, &found, &failed);
    matrix_clear(answer);
    matrix_clear(&status->message);
    status->code = MATRIX_GRPC_OK;
    status->by_node = false;
    if (is_answered) {
        matrix_append(answer, found.ptr, found.len);
        soul_list_u8_free(&found);
        return true;
    }
    status->code = failed.code > MATRIX_GRPC_UNAUTHENTICATED ? MATRIX_GRPC_UNKNOWN : (matrix_grpc_code)failed.code;
    status->by_node = failed.by_node;
    matrix_append(&status->message, failed.message.ptr, failed.message.len);
    matrix_node_grpc_status_free(&failed);
    return false;
}
