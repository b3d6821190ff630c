/* How a Soul in C reaches hosts: between the generated bindings and what `matrix_http.h` promises. What is taken of the node is dropped
 * here, children before their parents, however a request ends. */
#include "matrix_glue.h"
#include "matrix_http_inside.h"

/* How much is written, and read, at a time. */
#define CHUNK_BYTES 4096
#define NANOSECONDS_OF_MS 1000000

/* What errors say that have no kind of their own; those that have one are not told by their words. */
static const char *const errors[] = {
    [WASI_HTTP_TYPES_ERROR_CODE_DNS_TIMEOUT] = "the name server took too long",
    [WASI_HTTP_TYPES_ERROR_CODE_DNS_ERROR] = "the name of the host was not resolved",
    [WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_NOT_FOUND] = "there is no such host",
    [WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_UNAVAILABLE] = "the host cannot be reached now",
    [WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_IP_UNROUTABLE] = "there is no way to the host's address",
    [WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_REFUSED] = "the host refused the connection",
    [WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TERMINATED] = "the connection ended",
    [WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_LIMIT_REACHED] = "too many requests: try later",
    [WASI_HTTP_TYPES_ERROR_CODE_TLS_PROTOCOL_ERROR] = "TLS was not agreed on",
    [WASI_HTTP_TYPES_ERROR_CODE_TLS_CERTIFICATE_ERROR] = "the host's certificate is not trusted",
    [WASI_HTTP_TYPES_ERROR_CODE_TLS_ALERT_RECEIVED] = "the host ended TLS",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_LENGTH_REQUIRED] = "the request must say how long its body is",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_METHOD_INVALID] = "the method is none",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_URI_INVALID] = "the URL is none",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_URI_TOO_LONG] = "the URL is too long",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_HEADER_SECTION_SIZE] = "the headers of the request are too long",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_HEADER_SIZE] = "a header of the request is too long",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_TRAILER_SECTION_SIZE] = "the trailers of the request are too long",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_TRAILER_SIZE] = "a trailer of the request is too long",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_INCOMPLETE] = "the answer broke off",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_HEADER_SIZE] = "a header of the answer is too long",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TRAILER_SECTION_SIZE] = "the trailers of the answer are too long",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TRAILER_SIZE] = "a trailer of the answer is too long",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TRANSFER_CODING] = "the answer has a transfer coding that is not known",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_CONTENT_CODING] = "the answer has a content coding that is not known",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_UPGRADE_FAILED] = "the host wants another protocol",
    [WASI_HTTP_TYPES_ERROR_CODE_HTTP_PROTOCOL_ERROR] = "the host does not keep to HTTP",
    [WASI_HTTP_TYPES_ERROR_CODE_LOOP_DETECTED] = "the request came back",
    [WASI_HTTP_TYPES_ERROR_CODE_CONFIGURATION_ERROR] = "the node is set up wrongly for requests",
    [WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR] = "the node failed at the request",
};

static matrix_http_kind kind_of(uint8_t code) {
    switch (code) {
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED: return MATRIX_HTTP_DENIED;
    case WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_IP_PROHIBITED: return MATRIX_HTTP_PROHIBITED;
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_READ_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_WRITE_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TIMEOUT: return MATRIX_HTTP_TIMEOUT;
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_BODY_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_BODY_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_HEADER_SECTION_SIZE: return MATRIX_HTTP_TOO_LARGE;
    default: return MATRIX_HTTP_FAILED;
    }
}

/* Tells an error of the node, which is freed. */
static bool failed(wasi_http_types_error_code_t *code, matrix_http_error *error) {
    const char *known = code->tag < sizeof errors / sizeof *errors ? errors[code->tag] : NULL;
    matrix_bytes words = matrix_text(known != NULL ? known : "the request failed");
    bool has_text = code->tag == WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR && code->val.internal_error.is_some;
    if (has_text) words = bytes_of(code->val.internal_error.val);
    matrix_http_undone(error, kind_of(code->tag), words);
    wasi_http_types_error_code_free(code);
    return false;
}

static bool broken(matrix_http_error *error, const char *why) { return matrix_http_undone(error, MATRIX_HTTP_FAILED, matrix_text(why)); }

static bool add(wasi_http_types_own_fields_t fields, matrix_bytes name, matrix_bytes value) {
    soul_string_t called = lent(name);
    wasi_http_types_field_value_t says = {(uint8_t *)(uintptr_t)value.data, value.length};
    wasi_http_types_header_error_t wrong;
    return matrix_is_utf8(name) && wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(fields), &called, &says, &wrong);
}

/* Whether its length is said: without that an empty body would be sent in chunks, which not every host reads. */
static bool says_length(const matrix_http_request *request) {
    const char *with_body[] = {"POST", "PUT", "PATCH"};
    for (size_t place = 0; place < sizeof with_body / sizeof *with_body; place++) {
        if (matrix_http_is_named(request->method, with_body[place])) return true;
    }
    return request->body.length > 0;
}

static bool add_headers(wasi_http_types_own_fields_t fields, const matrix_http_request *request, matrix_http_error *error) {
    const char *length = "content-length";
    for (size_t place = 0; place < request->header_count; place++) {
        matrix_bytes name = request->headers[place].name;
        /* The length of a body is what it is. */
        if (says_length(request) && matrix_http_is_named(name, length)) continue;
        if (!add(fields, name, request->headers[place].value)) return matrix_http_undone(error, MATRIX_HTTP_HEADER, name);
    }
    if (says_length(request)) {
        matrix_buffer digits = {0};
        matrix_print(&digits, "%zu", request->body.length);
        add(fields, matrix_text(length), matrix_view(&digits));
        matrix_free(&digits);
    }
    return true;
}

static bool set_method(wasi_http_types_borrow_outgoing_request_t outgoing, matrix_bytes name) {
    static const char *const known[] = {
        [WASI_HTTP_TYPES_METHOD_GET] = "GET",
        [WASI_HTTP_TYPES_METHOD_HEAD] = "HEAD",
        [WASI_HTTP_TYPES_METHOD_POST] = "POST",
        [WASI_HTTP_TYPES_METHOD_PUT] = "PUT",
        [WASI_HTTP_TYPES_METHOD_DELETE] = "DELETE",
        [WASI_HTTP_TYPES_METHOD_CONNECT] = "CONNECT",
        [WASI_HTTP_TYPES_METHOD_OPTIONS] = "OPTIONS",
        [WASI_HTTP_TYPES_METHOD_TRACE] = "TRACE",
        [WASI_HTTP_TYPES_METHOD_PATCH] = "PATCH",
    };
    wasi_http_types_method_t method = {.tag = WASI_HTTP_TYPES_METHOD_OTHER};
    if (name.length == 0) name = matrix_text(known[WASI_HTTP_TYPES_METHOD_GET]);
    method.val.other = lent(name);
    for (uint8_t tag = 0; tag < sizeof known / sizeof *known; tag++) {
        if (matrix_is(name, known[tag])) method.tag = tag;
    }
    return matrix_is_utf8(name) && wasi_http_types_method_outgoing_request_set_method(outgoing, &method);
}

static bool set_place(wasi_http_types_borrow_outgoing_request_t outgoing, const struct matrix_http_place *place) {
    wasi_http_types_scheme_t scheme = {.tag = place->tls ? WASI_HTTP_TYPES_SCHEME_HTTPS : WASI_HTTP_TYPES_SCHEME_HTTP};
    soul_string_t authority = lent(place->authority), path = lent(matrix_view(&place->path));
    return wasi_http_types_method_outgoing_request_set_scheme(outgoing, &scheme) &&
           wasi_http_types_method_outgoing_request_set_authority(outgoing, &authority) &&
           wasi_http_types_method_outgoing_request_set_path_with_query(outgoing, &path);
}

/* Makes the node's request and its body; false: there is neither. */
static bool make(const matrix_http_request *request, const struct matrix_http_place *place, wasi_http_types_own_outgoing_request_t *made,
                 wasi_http_types_own_outgoing_body_t *body, matrix_http_error *error) {
    wasi_http_types_own_fields_t fields = wasi_http_types_constructor_fields();
    if (!add_headers(fields, request, error)) {
        wasi_http_types_fields_drop_own(fields);
        return false;
    }
    *made = wasi_http_types_constructor_outgoing_request(fields);
    wasi_http_types_borrow_outgoing_request_t outgoing = wasi_http_types_borrow_outgoing_request(*made);
    bool is_method = set_method(outgoing, request->method);
    if (is_method && set_place(outgoing, place) && wasi_http_types_method_outgoing_request_body(outgoing, body)) return true;
    wasi_http_types_outgoing_request_drop_own(*made);
    return is_method ? matrix_http_undone(error, MATRIX_HTTP_URL, request->url) : matrix_http_no_method(error, request->method);
}

/* Hands the request over, with how long it may take; from here on it is the node's. */
static bool hand_over(wasi_http_types_own_outgoing_request_t made, uint32_t timeout_ms,
                      wasi_http_types_own_future_incoming_response_t *future, matrix_http_error *error) {
    wasi_http_types_own_request_options_t options, *given_options = NULL;
    if (timeout_ms > 0) {
        uint64_t nanoseconds = (uint64_t)timeout_ms * NANOSECONDS_OF_MS;
        options = wasi_http_types_constructor_request_options();
        wasi_http_types_method_request_options_set_connect_timeout(wasi_http_types_borrow_request_options(options), &nanoseconds);
        wasi_http_types_method_request_options_set_first_byte_timeout(wasi_http_types_borrow_request_options(options), &nanoseconds);
        given_options = &options;
    }
    wasi_http_types_error_code_t code;
    return wasi_http_outgoing_handler_handle(made, given_options, future, &code) || failed(&code, error);
}

/* Where the node has let go of the body, the answer says why. */
static void write_body(wasi_http_types_own_outgoing_body_t body, matrix_bytes rest) {
    wasi_http_types_own_output_stream_t stream;
    bool is_whole = wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream);
    if (is_whole) {
        while (is_whole && rest.length > 0) {
            matrix_bytes chunk;
            wasi_io_streams_stream_error_t wrong;
            matrix_take_bytes(&rest, rest.length < CHUNK_BYTES ? rest.length : CHUNK_BYTES, &chunk);
            soul_list_u8_t told = lent_list(chunk);
            is_whole = wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream), &told,
                                                                                     &wrong);
            bool is_told = !is_whole && wrong.tag == WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED;
            if (is_told) wasi_io_error_error_drop_own(wrong.val.last_operation_failed);
        }
        wasi_io_streams_output_stream_drop_own(stream);
    }
    wasi_http_types_error_code_t code;
    if (!is_whole) wasi_http_types_outgoing_body_drop_own(body);
    else if (!wasi_http_types_static_outgoing_body_finish(body, NULL, &code)) wasi_http_types_error_code_free(&code);
}

/* Waits for the answer to begin. */
static bool await(wasi_http_types_own_future_incoming_response_t future, wasi_http_types_own_incoming_response_t *response,
                  matrix_http_error *error) {
    wasi_http_types_borrow_future_incoming_response_t promised = wasi_http_types_borrow_future_incoming_response(future);
    wasi_io_poll_own_pollable_t pollable = wasi_http_types_method_future_incoming_response_subscribe(promised);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
    wasi_io_poll_pollable_drop_own(pollable);
    wasi_http_types_result_result_own_incoming_response_error_code_void_t found;
    bool is_here = wasi_http_types_method_future_incoming_response_get(promised, &found) && !found.is_err;
    wasi_http_types_future_incoming_response_drop_own(future);
    if (!is_here) return broken(error, "no answer came");
    if (found.val.ok.is_err) return failed(&found.val.ok.val.err, error);
    *response = found.val.ok.val.ok;
    return true;
}

/* Tells why a stream of the answer failed, if it did; at its end it did not. */
static bool ended(const wasi_io_streams_stream_error_t *end, matrix_http_error *error) {
    if (end->tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED) return true;
    wasi_io_error_borrow_error_t wrong = wasi_io_error_borrow_error(end->val.last_operation_failed);
    wasi_http_types_error_code_t code;
    if (wasi_http_types_http_error_code(wrong, &code)) {
        failed(&code, error);
    } else {
        soul_string_t text;
        wasi_io_error_method_error_to_debug_string(wrong, &text);
        /* What follows the first line is where in the node it came about. */
        const uint8_t *line = text.len > 0 ? memchr(text.ptr, '\n', text.len) : NULL;
        matrix_http_undone(error, MATRIX_HTTP_FAILED, (matrix_bytes){text.ptr, line != NULL ? (size_t)(line - text.ptr) : text.len});
        soul_string_free(&text);
    }
    wasi_io_error_error_drop_own(end->val.last_operation_failed);
    return false;
}

static bool read_body(wasi_http_types_own_incoming_body_t body, matrix_buffer *bytes, matrix_http_error *error) {
    wasi_http_types_own_input_stream_t stream;
    if (!wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream)) {
        return broken(error, "the answer was read before");
    }
    soul_list_u8_t more;
    wasi_io_streams_stream_error_t end;
    while (wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), CHUNK_BYTES, &more, &end)) {
        matrix_append(bytes, more.ptr, more.len);
        soul_list_u8_free(&more);
    }
    wasi_io_streams_input_stream_drop_own(stream);
    return ended(&end, error);
}

static bool read_answer(wasi_http_types_own_incoming_response_t response, matrix_http_answer *answer, matrix_http_error *error) {
    wasi_http_types_borrow_incoming_response_t told = wasi_http_types_borrow_incoming_response(response);
    wasi_http_types_list_tuple2_field_name_field_value_t entries;
    wasi_http_types_own_fields_t fields = wasi_http_types_method_incoming_response_headers(told);
    wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(fields), &entries);
    wasi_http_types_fields_drop_own(fields);
    for (size_t place = 0; place < entries.len; place++) {
        matrix_bytes value = {entries.ptr[place].f1.ptr, entries.ptr[place].f1.len};
        matrix_http_keep(answer, bytes_of(entries.ptr[place].f0), value);
    }
    wasi_http_types_list_tuple2_field_name_field_value_free(&entries);
    answer->status = wasi_http_types_method_incoming_response_status(told);
    wasi_http_types_own_incoming_body_t body;
    if (!wasi_http_types_method_incoming_response_consume(told, &body)) return broken(error, "the answer has no body");
    bool is_read = read_body(body, &answer->body, error);
    wasi_http_types_incoming_body_drop_own(body);
    return is_read;
}

bool matrix_http(const matrix_http_request *request, matrix_http_answer *answer, matrix_http_error *error) {
    struct matrix_http_place place;
    wasi_http_types_own_outgoing_request_t made;
    wasi_http_types_own_outgoing_body_t body;
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_own_incoming_response_t response;
    matrix_http_begin(answer, error);
    if (!matrix_http_place_of(request->url, &place)) return matrix_http_undone(error, MATRIX_HTTP_URL, request->url);
    bool is_made = make(request, &place, &made, &body, error);
    matrix_free(&place.path);
    if (!is_made) return false;
    if (!hand_over(made, request->timeout_ms, &future, error)) {
        wasi_http_types_outgoing_body_drop_own(body);
        return false;
    }
    write_body(body, request->body);
    if (!await(future, &response, error)) return false;
    bool is_read = read_answer(response, answer, error);
    wasi_http_types_incoming_response_drop_own(response);
    if (!is_read) matrix_http_free(answer);
    return is_read;
}
