/**
 * Requests to hosts outside the realm, by `wasi:http`. It takes the grant `http`, and an operator who lets the node reach the host; and
 * it is there while a message is handled or a tick is played. Nobody follows a redirect but the Soul itself, by another request.
 */
#ifndef MATRIX_HTTP_H
#define MATRIX_HTTP_H

#include "matrix_soul.h"

/** One header. */
typedef struct {
    matrix_bytes name;
    matrix_bytes value;
} matrix_http_header;

/** A request. What is left out is zero: `{.url = matrix_text("https://api.example.org/prices")}` asks for what is there. */
typedef struct {
    /** `GET` unless set. */
    matrix_bytes method;
    /** `https://HOST[:PORT]/PATH`, or `http://…`. */
    matrix_bytes url;
    /** `host`, `connection` and the like are the node's to set, and `content-length` is what is sent. */
    const matrix_http_header *headers;
    size_t header_count;
    /** What is sent along. */
    matrix_bytes body;
    /** Waits for the answer to begin no longer than this; 0 leaves it to the operator and the deadline of the message, as does more. */
    uint32_t timeout_ms;
} matrix_http_request;

/** An answer. Begin with `{0}`; `matrix_http_free` gives its room back. */
typedef struct {
    /** Such as 200, or 404. */
    uint16_t status;
    /** Its headers in order, their names in lower case. */
    matrix_http_header *headers;
    size_t header_count;
    /** What it says. */
    matrix_buffer body;
} matrix_http_answer;

/** What went wrong. */
typedef enum {
    MATRIX_HTTP_OK,
    /** The URL is none, or not of a scheme that there is: nothing was sent. */
    MATRIX_HTTP_URL,
    /** A header that may not be set: nothing was sent. */
    MATRIX_HTTP_HEADER,
    /** The Soul may not: no grant, or the operator does not let the node; why stands in the Soul's log. */
    MATRIX_HTTP_DENIED,
    /** The name has no address that may be reached. */
    MATRIX_HTTP_PROHIBITED,
    /** It took too long. */
    MATRIX_HTTP_TIMEOUT,
    /** The body, or the answer, is larger than the operator lets it be. */
    MATRIX_HTTP_TOO_LARGE,
    /** Whatever else went wrong. */
    MATRIX_HTTP_FAILED,
} matrix_http_kind;

/** Why there is no answer. Begin with `{0}`; `matrix_free` gives the room of the message back. */
typedef struct {
    matrix_http_kind kind;
    /** In words, for people: what a Soul that knows no better refuses its message with. */
    matrix_buffer message;
} matrix_http_error;

/**
 * Sends a request, and waits for the whole answer, which is written to `answer`; one with any status is an answer. The Soul receives
 * nothing else meanwhile. Returns false where there is none, and writes why into `error`.
 */
bool matrix_http(const matrix_http_request *request, matrix_http_answer *answer, matrix_http_error *error);
/** The first header of this name, in lower case; false: there is none. */
bool matrix_http_find(const matrix_http_answer *answer, const char *name, matrix_bytes *value);
/** Gives the room of an answer back. */
void matrix_http_free(matrix_http_answer *answer);

#endif
