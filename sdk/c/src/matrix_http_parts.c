/* What is the same of a request in a component and in a fake node: URLs, the words of errors, and the room of answers. */
#include <stdlib.h>
#include <string.h>

#include "matrix_http_inside.h"

/* Whether bytes begin with this text, which is taken off them. */
static bool begins(matrix_bytes *bytes, const char *text) {
    matrix_bytes rest = *bytes, head;
    bool is_so = matrix_take_bytes(&rest, strlen(text), &head) && matrix_is(head, text);
    if (is_so) *bytes = rest;
    return is_so;
}

bool matrix_http_place_of(matrix_bytes url, struct matrix_http_place *place) {
    /* Text crosses to the node as UTF-8 or not at all. */
    if (!matrix_is_utf8(url)) return false;
    *place = (struct matrix_http_place){.tls = begins(&url, "https://")};
    if (!place->tls && !begins(&url, "http://")) return false;
    size_t length = 0, end;
    while (length < url.length && memchr("/?#", url.data[length], 3) == NULL) length++;
    if (length == 0) return false;
    place->authority = (matrix_bytes){url.data, length};
    for (end = length; end < url.length && url.data[end] != '#';) end++;
    if (end == length || url.data[length] != '/') matrix_append(&place->path, "/", 1);
    matrix_append(&place->path, url.data + length, end - length);
    return true;
}

static uint8_t lower(uint8_t letter) { return letter >= 'A' && letter <= 'Z' ? letter + ('a' - 'A') : letter; }

bool matrix_http_is_named(matrix_bytes name, const char *text) {
    size_t at = 0;
    while (at < name.length && text[at] != 0 && lower(name.data[at]) == lower((uint8_t)text[at])) at++;
    return at == name.length && text[at] == 0;
}

bool matrix_http_undone(matrix_http_error *error, matrix_http_kind kind, matrix_bytes what) {
    int length = (int)what.length;
    const char *text = (const char *)what.data;
    matrix_buffer *words = &error->message;
    error->kind = kind;
    switch (kind) {
    case MATRIX_HTTP_URL: return matrix_refuse(words, "`%.*s` is no URL: write `https://HOST/PATH`", length, text);
    case MATRIX_HTTP_HEADER: return matrix_refuse(words, "the header `%.*s` cannot be set so", length, text);
    case MATRIX_HTTP_DENIED: return matrix_refuse(words, "the request was denied: why stands in the Soul's log");
    case MATRIX_HTTP_PROHIBITED: return matrix_refuse(words, "the host has no address that may be reached (`http.private`)");
    case MATRIX_HTTP_TIMEOUT: return matrix_refuse(words, "the host took too long");
    case MATRIX_HTTP_TOO_LARGE: return matrix_refuse(words, "it is larger than the node lets it be");
    default: return matrix_refuse(words, "%.*s", length, text);
    }
}

bool matrix_http_no_method(matrix_http_error *error, matrix_bytes method) {
    error->kind = MATRIX_HTTP_FAILED;
    return matrix_refuse(&error->message, "`%.*s` is no method", (int)method.length, (const char *)method.data);
}

void matrix_http_begin(matrix_http_answer *answer, matrix_http_error *error) {
    matrix_http_free(answer);
    matrix_clear(&error->message);
    error->kind = MATRIX_HTTP_OK;
}

void matrix_http_keep(matrix_http_answer *answer, matrix_bytes name, matrix_bytes value) {
    /* Name and value share their room, which is freed by the name. */
    uint8_t *text = malloc(name.length + value.length + 1);
    matrix_http_header *all = realloc(answer->headers, (answer->header_count + 1) * sizeof *all);
    if (text == NULL || all == NULL) abort();
    if (name.length > 0) memcpy(text, name.data, name.length);
    if (value.length > 0) memcpy(text + name.length, value.data, value.length);
    all[answer->header_count++] = (matrix_http_header){{text, name.length}, {text + name.length, value.length}};
    answer->headers = all;
}

bool matrix_http_find(const matrix_http_answer *answer, const char *name, matrix_bytes *value) {
    for (size_t place = 0; place < answer->header_count; place++) {
        if (matrix_is(answer->headers[place].name, name)) {
            *value = answer->headers[place].value;
            return true;
        }
    }
    return false;
}

void matrix_http_free(matrix_http_answer *answer) {
    for (size_t place = 0; place < answer->header_count; place++) free((void *)(uintptr_t)answer->headers[place].name.data);
    free(answer->headers);
    matrix_free(&answer->body);
    *answer = (matrix_http_answer){0};
}
