/* The hosts outside the realm for tests. */
#include "matrix_fake_http.h"

#include <stdlib.h>
#include <string.h>

#include "matrix_http_inside.h"

typedef struct {
    struct matrix_http_place place;
    uint16_t status;
    const char *body;
} page;

static bool nobody(const matrix_http_request *request, matrix_http_answer *answer, matrix_http_error *error) {
    (void)request, (void)answer;
    return fake_failure(error, MATRIX_HTTP_DENIED, "");
}

bool (*fake_host)(const matrix_http_request *, matrix_http_answer *, matrix_http_error *) = nobody;

static page *pages;
static matrix_http_request *requests;
static size_t page_count, request_count;

/* Room for one more behind so many. */
static void *grown(void *all, size_t count, size_t size) {
    all = realloc(all, (count + 1) * size);
    if (all == NULL) abort();
    return all;
}

static matrix_bytes copy(matrix_bytes bytes) {
    uint8_t *data = malloc(bytes.length + 1);
    if (data == NULL) abort();
    if (bytes.length > 0) memcpy(data, bytes.data, bytes.length);
    return (matrix_bytes){data, bytes.length};
}

static void forget(matrix_bytes bytes) { free((void *)(uintptr_t)bytes.data); }

static bool is_same(matrix_bytes a, matrix_bytes b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static bool is_same_place(const struct matrix_http_place *a, const struct matrix_http_place *b) {
    return a->tls == b->tls && is_same(a->authority, b->authority) && is_same(matrix_view(&a->path), matrix_view(&b->path));
}

void fake_page(const char *url, uint16_t status, const char *body) {
    page made = {.status = status, .body = body};
    if (!matrix_http_place_of(matrix_text(url), &made.place)) abort();
    /* What the test says may be gone before it is asked for. */
    made.place.authority = copy(made.place.authority);
    made.body = (const char *)copy((matrix_bytes){(const uint8_t *)body, strlen(body) + 1}).data;
    pages = grown(pages, page_count, sizeof *pages);
    pages[page_count++] = made;
}

void fake_header(matrix_http_answer *answer, const char *name, const char *value) {
    matrix_buffer lower = {0};
    for (; *name != 0; name++) {
        char letter = *name >= 'A' && *name <= 'Z' ? (char)(*name + ('a' - 'A')) : *name;
        matrix_append(&lower, &letter, 1);
    }
    matrix_http_keep(answer, matrix_view(&lower), matrix_text(value));
    matrix_free(&lower);
}

bool fake_failure(matrix_http_error *error, matrix_http_kind kind, const char *what) {
    return matrix_http_undone(error, kind, matrix_text(what));
}

size_t fake_request_count(void) { return request_count; }

const matrix_http_request *fake_request(size_t place) { return place < request_count ? &requests[place] : NULL; }

void fake_forget_hosts(void) {
    for (size_t place = 0; place < page_count; place++) {
        forget(pages[place].place.authority), matrix_free(&pages[place].place.path), free((void *)(uintptr_t)pages[place].body);
    }
    for (size_t place = 0; place < request_count; place++) {
        matrix_http_request *past = &requests[place];
        for (size_t at = 0; at < past->header_count; at++) forget(past->headers[at].name), forget(past->headers[at].value);
        forget(past->method), forget(past->url), forget(past->body), free((void *)(uintptr_t)past->headers);
    }
    free(pages), free(requests);
    pages = NULL, requests = NULL;
    page_count = request_count = 0;
    fake_host = nobody;
}

static void note(const matrix_http_request *request) {
    matrix_http_request noted = *request;
    matrix_http_header *headers = calloc(request->header_count + 1, sizeof *headers);
    if (headers == NULL) abort();
    for (size_t at = 0; at < request->header_count; at++) {
        headers[at] = (matrix_http_header){copy(request->headers[at].name), copy(request->headers[at].value)};
    }
    noted.method = copy(request->method), noted.url = copy(request->url), noted.body = copy(request->body), noted.headers = headers;
    requests = grown(requests, request_count, sizeof *requests);
    requests[request_count++] = noted;
}

/* Whether it is a name as HTTP has them, of a method or of a header. */
static bool is_token(matrix_bytes name) {
    for (size_t at = 0; at < name.length; at++) {
        uint8_t byte = name.data[at];
        if (byte <= ' ' || byte >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", byte) != NULL) return false;
    }
    return name.length > 0;
}

/* Whether a node lets a Soul set this header. */
static bool may_set(matrix_http_header header) {
    static const char *const others[] = {
        "connection", "host", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "transfer-encoding", "upgrade",
    };
    for (size_t place = 0; place < sizeof others / sizeof *others; place++) {
        if (matrix_http_is_named(header.name, others[place])) return false;
    }
    for (size_t at = 0; at < header.value.length; at++) {
        uint8_t byte = header.value.data[at];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) return false;
    }
    return is_token(header.name);
}

/* Whether there are no blanks in it, nor what else cannot be seen. */
static bool is_plain(matrix_bytes text) {
    for (size_t at = 0; at < text.length; at++) {
        if (text.data[at] <= ' ') return false;
    }
    return true;
}

static bool answered(const matrix_http_request *request, const struct matrix_http_place *place, matrix_http_answer *answer,
                     matrix_http_error *error) {
    for (size_t at = 0; at < request->header_count; at++) {
        matrix_http_header header = request->headers[at];
        if (!may_set(header)) return matrix_http_undone(error, MATRIX_HTTP_HEADER, header.name);
    }
    if (!is_token(request->method)) return matrix_http_no_method(error, request->method);
    bool is_right = is_plain(place->authority) && is_plain(matrix_view(&place->path));
    if (!is_right) return matrix_http_undone(error, MATRIX_HTTP_URL, request->url);
    note(request);
    /* The page that was named last is the one that there is. */
    for (size_t at = page_count; at-- > 0;) {
        if (!is_same_place(&pages[at].place, place)) continue;
        answer->status = pages[at].status;
        matrix_append(&answer->body, pages[at].body, strlen(pages[at].body));
        return true;
    }
    answer->status = 200;
    return fake_host(request, answer, error);
}

bool matrix_http(const matrix_http_request *request, matrix_http_answer *answer, matrix_http_error *error) {
    struct matrix_http_place place;
    matrix_http_request sent = *request;
    if (sent.method.length == 0) sent.method = matrix_text("GET");
    matrix_http_begin(answer, error);
    if (!matrix_http_place_of(sent.url, &place)) return matrix_http_undone(error, MATRIX_HTTP_URL, sent.url);
    bool is_answered = answered(&sent, &place, answer, error);
    matrix_free(&place.path);
    if (!is_answered) matrix_http_free(answer);
    return is_answered;
}
