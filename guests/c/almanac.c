/*
 * Tells the weather of the place that it is told, as the gRPC service `weather` tells it: `Zion` is answered by the forecast for Zion.
 * Needs the grant `grpc = ["weather"]`, and a node whose operator has such an endpoint.
 */
#include "matrix_grpc.h"
#include "matrix_soul.h"

/* A message of protobuf whose field 1 is this text. */
static void written(matrix_buffer *message, matrix_bytes text) {
    matrix_append(message, "\x0a", 1);
    matrix_put(message, text.length);
    matrix_append(message, text.data, text.length);
}

/* The text that is field 1 of a message; empty where there is none. */
static matrix_bytes read_text(matrix_bytes message) {
    matrix_bytes head, text;
    uint64_t length;
    bool is_there = matrix_take_bytes(&message, 1, &head) && head.data[0] == 0x0a && matrix_take(&message, &length) &&
                    length <= message.length && matrix_take_bytes(&message, (size_t)length, &text);
    return is_there ? text : matrix_text("");
}

static bool receive(const matrix_message *message, matrix_reply *reply) {
    matrix_buffer request = {0}, answer = {0};
    matrix_grpc_status status = {0};
    written(&request, message->content.body);
    bool is_answered = matrix_grpc("weather", "weather.v1.Weather/Forecast", matrix_view(&request), 5000, &answer, &status);
    if (is_answered) {
        matrix_answer_content(reply, matrix_plain(read_text(matrix_view(&answer))));
    } else {
        const char *who = status.by_node ? "the node" : "the service";
        int length = (int)status.message.length;
        matrix_refuse(&reply->body, "%s says %d: %.*s", who, (int)status.code, length, (const char *)status.message.data);
    }
    matrix_free(&request), matrix_free(&answer), matrix_free(&status.message);
    return is_answered;
}

const matrix_soul_definition matrix_soul = {.receive = receive};
