/*
 * Sends the requests that it is told: `METHOD URL` in the first line, then headers as `Name: value`, a line each, and behind an empty
 * line the body. Answers with the status, and in the next line what was answered. Waits no longer than the setting `timeout_ms`, if it
 * has one. Needs the grant `http` for the host, and a node whose operator lets it reach the host.
 */
#include "matrix_http.h"
#include "matrix_soul.h"

#define HEADERS_MAX 64

static uint32_t timeout_ms;

static bool born(const matrix_birth *birth, matrix_buffer *why) {
    matrix_bytes text = {0};
    timeout_ms = 0;
    if (!matrix_setting(birth, "timeout_ms", &text)) return true;
    for (size_t at = 0; at < text.length; at++) {
        uint8_t digit = text.data[at];
        bool is_number = digit >= '0' && digit <= '9' && timeout_ms < 100000000;
        if (!is_number) return matrix_refuse(why, "`timeout_ms` must be a number of milliseconds");
        timeout_ms = timeout_ms * 10 + (digit - '0');
    }
    return true;
}

/* Takes what stands before the first such byte, which is dropped; false: there is none, and all of it is taken. */
static bool take_until(matrix_bytes *rest, uint8_t end, matrix_bytes *taken) {
    size_t length = 0;
    while (length < rest->length && rest->data[length] != end) length++;
    bool is_there = length < rest->length;
    matrix_take_bytes(rest, length, taken);
    matrix_bytes dropped;
    if (is_there) matrix_take_bytes(rest, 1, &dropped);
    return is_there;
}

static matrix_bytes without_blanks(matrix_bytes text) {
    while (text.length > 0 && text.data[0] == ' ') text.data++, text.length--;
    while (text.length > 0 && text.data[text.length - 1] == ' ') text.length--;
    return text;
}

/* Reads a request off a message; `headers` has room for `HEADERS_MAX`. */
static bool read_request(matrix_bytes text, matrix_http_header *headers, matrix_http_request *request, matrix_buffer *why) {
    matrix_bytes line;
    take_until(&text, '\n', &line);
    *request = (matrix_http_request){.url = line, .headers = headers, .timeout_ms = timeout_ms};
    if (!take_until(&request->url, ' ', &request->method)) return matrix_refuse(why, "say `METHOD URL` in the first line");
    while (text.length > 0) {
        take_until(&text, '\n', &line);
        if (line.length == 0) break;
        matrix_bytes name, value = line;
        if (request->header_count == HEADERS_MAX) return matrix_refuse(why, "no more than %d headers are sent", HEADERS_MAX);
        if (!take_until(&value, ':', &name)) {
            return matrix_refuse(why, "`%.*s` is no header: write `Name: value`", (int)line.length, (const char *)line.data);
        }
        headers[request->header_count++] = (matrix_http_header){without_blanks(name), without_blanks(value)};
    }
    request->body = text;
    return true;
}

static bool receive(const matrix_message *message, matrix_reply *reply) {
    matrix_http_header headers[HEADERS_MAX];
    matrix_http_request request;
    matrix_http_answer answer = {0};
    matrix_http_error error = {0};
    if (!read_request(message->content.body, headers, &request, &reply->body)) return false;
    bool is_told = matrix_http(&request, &answer, &error);
    if (!is_told) {
        matrix_refuse(&reply->body, "%.*s", (int)error.message.length, (const char *)error.message.data);
    } else if (!matrix_is_utf8(matrix_view(&answer.body))) {
        is_told = matrix_refuse(&reply->body, "the answer is not text in UTF-8");
    } else {
        matrix_answer(reply, "%u\n", answer.status);
        matrix_append(&reply->body, answer.body.data, answer.body.length);
    }
    matrix_http_free(&answer), matrix_free(&error.message);
    return is_told;
}

const matrix_soul_definition matrix_soul = {.born = born, .receive = receive};
