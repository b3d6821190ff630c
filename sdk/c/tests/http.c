/* Requests, in the fake node: what an author is promised of them. */
#include "../src/matrix_http_inside.h"
#include "matrix_fake_http.h"
#include "matrix_test.h"

static matrix_http_answer answer;
static matrix_http_error error;

static bool ask(const char *method, const char *url) {
    matrix_http_request request = {.method = matrix_text(method), .url = matrix_text(url)};
    return matrix_http(&request, &answer, &error);
}

static bool ask_with(const char *name, const char *value) {
    matrix_http_header header = {matrix_text(name), matrix_text(value)};
    matrix_http_request request = {.url = matrix_text("https://a.org"), .headers = &header, .header_count = 1};
    return matrix_http(&request, &answer, &error);
}

static bool says(matrix_http_kind kind, const char *words) { return error.kind == kind && matrix_is(matrix_view(&error.message), words); }

static bool host(const matrix_http_request *request, matrix_http_answer *told, matrix_http_error *wrong) {
    if (matrix_is(request->method, "TRACE")) return fake_failure(wrong, MATRIX_HTTP_FAILED, "the host is asleep");
    fake_header(told, "Content-Type", "text/plain");
    fake_header(told, "content-type", "text/html");
    fake_header(told, "X-None", "");
    matrix_append(&told->body, "\0\xff", 2);
    return true;
}

static bool has_parts(const char *url, bool tls, const char *authority, const char *path) {
    struct matrix_http_place place;
    if (!matrix_http_place_of(matrix_text(url), &place)) return false;
    bool is_so = place.tls == tls && matrix_is(place.authority, authority) && matrix_is(matrix_view(&place.path), path);
    matrix_free(&place.path);
    return is_so;
}

static void a_url_has_its_parts(void) {
    EXPECT(has_parts("https://a.org", true, "a.org", "/"));
    EXPECT(has_parts("http://a.org:8080/b?c=d#e", false, "a.org:8080", "/b?c=d"));
    EXPECT(has_parts("https://a.org?q", true, "a.org", "/?q"));
    EXPECT(has_parts("https://a.org#e/f", true, "a.org", "/"));
    const char *wrong[] = {"", "a.org", "ftp://a.org", "https://", "https:///path", "https://a.org/\xff"};
    for (size_t place = 0; place < sizeof wrong / sizeof *wrong; place++) {
        EXPECT(!ask("GET", wrong[place]) && error.kind == MATRIX_HTTP_URL);
    }
    EXPECT(!ask("GET", "nowhere") && says(MATRIX_HTTP_URL, "`nowhere` is no URL: write `https://HOST/PATH`"));
    EXPECT(!ask("GET", "https://a.org/b c") && error.kind == MATRIX_HTTP_URL);
    EXPECT(!ask("GE T", "https://a.org") && says(MATRIX_HTTP_FAILED, "`GE T` is no method"));
    EXPECT(fake_request_count() == 0);
}

static void headers_are_what_may_be_set(void) {
    EXPECT(!ask_with("Host", "b.org") && says(MATRIX_HTTP_HEADER, "the header `Host` cannot be set so"));
    EXPECT(!ask_with("", "x") && error.kind == MATRIX_HTTP_HEADER);
    EXPECT(!ask_with("a b", "x") && error.kind == MATRIX_HTTP_HEADER);
    EXPECT(!ask_with("\xc3\xa4", "x") && error.kind == MATRIX_HTTP_HEADER);
    EXPECT(!ask_with("accept", "x\r\ny: z") && error.kind == MATRIX_HTTP_HEADER);
    EXPECT(fake_request_count() == 0);
    EXPECT(ask_with("accept", "\xff\ttext") && fake_request_count() == 1);
    EXPECT(matrix_is(fake_request(0)->headers[0].value, "\xff\ttext") && matrix_is(fake_request(0)->method, "GET"));
}

static void answers_are_whole(void) {
    matrix_bytes value;
    EXPECT(ask("GET", "https://a.org") && answer.status == 200 && answer.header_count == 3 && error.kind == MATRIX_HTTP_OK);
    EXPECT(answer.body.length == 2 && memcmp(answer.body.data, "\0\xff", 2) == 0);
    EXPECT(matrix_http_find(&answer, "content-type", &value) && matrix_is(value, "text/plain"));
    EXPECT(matrix_http_find(&answer, "x-none", &value) && value.length == 0);
    EXPECT(!matrix_http_find(&answer, "x-non", &value));
    EXPECT(!ask("TRACE", "https://a.org") && says(MATRIX_HTTP_FAILED, "the host is asleep"));
    EXPECT(answer.status == 0 && answer.header_count == 0 && answer.body.length == 0);
}

static void pages_come_before_the_host(void) {
    fake_page("https://a.org/pears", 200, "three");
    fake_page("https://a.org/pears", 404, "none");
    EXPECT(ask("PUT", "https://a.org/pears#here") && answer.status == 404 && matrix_is(matrix_view(&answer.body), "none"));
    EXPECT(ask("GET", "http://a.org/pears") && answer.status == 200 && answer.body.length == 2);
    fake_forget_hosts();
    EXPECT(fake_request_count() == 0 && fake_request(0) == NULL);
    EXPECT(!ask("GET", "https://a.org/pears") && says(MATRIX_HTTP_DENIED, "the request was denied: why stands in the Soul's log"));
    EXPECT(fake_request_count() == 1);
}

static void errors_have_words(void) {
    fake_failure(&error, MATRIX_HTTP_PROHIBITED, "");
    EXPECT(says(MATRIX_HTTP_PROHIBITED, "the host has no address that may be reached (`http.private`)"));
    fake_failure(&error, MATRIX_HTTP_TIMEOUT, "");
    EXPECT(says(MATRIX_HTTP_TIMEOUT, "the host took too long"));
    fake_failure(&error, MATRIX_HTTP_TOO_LARGE, "");
    EXPECT(says(MATRIX_HTTP_TOO_LARGE, "it is larger than the node lets it be"));
}

int main(void) {
    a_url_has_its_parts();
    fake_host = host;
    headers_are_what_may_be_set();
    answers_are_whole();
    pages_come_before_the_host();
    errors_have_words();
    fake_forget_hosts(), matrix_http_free(&answer), matrix_free(&error.message);
    return 0;
}
