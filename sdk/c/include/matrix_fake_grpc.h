/** The gRPC services of the node for tests: what they answer is the test's to say. */
#ifndef MATRIX_FAKE_GRPC_H
#define MATRIX_FAKE_GRPC_H

#include "matrix_grpc.h"

/** Answers what the Soul calls; false: with why in `status`. By default there is no service. */
extern bool (*fake_service)(const char *endpoint, const char *method, matrix_bytes request, matrix_buffer *answer,
                            matrix_grpc_status *status);

#endif
