/* The almanac, in a fake node. */
#include "matrix_fake.h"
#include "matrix_fake_grpc.h"
#include "matrix_test.h"

static bool weather(const char *endpoint, const char *method, matrix_bytes request, matrix_buffer *answer, matrix_grpc_status *status) {
    EXPECT_TEXT(endpoint, "weather");
    EXPECT_TEXT(method, "weather.v1.Weather/Forecast");
    if (matrix_is(request, "\x0a\x08" "Atlantis")) {
        status->code = MATRIX_GRPC_NOT_FOUND;
        return matrix_refuse(&status->message, "no such place");
    }
    if (matrix_is(request, "\x0a\x07nothing")) return true;
    EXPECT(matrix_is(request, "\x0a\x04Zion"));
    matrix_print(answer, "\x0a\x04rain");
    return true;
}

int main(void) {
    EXPECT_TEXT(fake_ask("Zion"), "the node says 9: this node has no gRPC endpoint `weather`");
    EXPECT(fake_was_refused());
    fake_service = weather;
    EXPECT_TEXT(fake_ask("Zion"), "rain");
    EXPECT(!fake_was_refused());
    EXPECT_TEXT(fake_ask("nothing"), "");
    EXPECT_TEXT(fake_ask("Atlantis"), "the service says 5: no such place");
    EXPECT(fake_was_refused());
    return 0;
}
