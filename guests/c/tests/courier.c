/* The courier, in a fake node. */
#include "matrix_fake.h"
#include "matrix_fake_http.h"
#include "matrix_test.h"

static bool shop(const matrix_http_request *request, matrix_http_answer *answer, matrix_http_error *error) {
    if (matrix_is(request->url, "https://shop.example.org/slow")) return fake_failure(error, MATRIX_HTTP_TIMEOUT, "");
    if (matrix_is(request->url, "https://shop.example.org/picture")) return matrix_append(&answer->body, "\xff", 1), true;
    answer->status = 201;
    fake_header(answer, "Content-Type", "text/plain");
    matrix_print(&answer->body, "%zu headers, ", request->header_count);
    matrix_append(&answer->body, request->body.data, request->body.length);
    return true;
}

static void it_sends_what_it_is_told(void) {
    fake_page("https://shop.example.org/pears", 200, "three");
    EXPECT_TEXT(fake_ask("GET https://shop.example.org/pears"), "200\nthree");
    EXPECT_TEXT(fake_ask("GET https://shop.example.org/pears#here\n"), "200\nthree");
    fake_host = shop;
    EXPECT_TEXT(fake_ask("POST https://shop.example.org/\nAccept: text/plain\nX-Empty:\n\none\n\ntwo"), "201\n2 headers, one\n\ntwo");
    EXPECT(!fake_was_refused() && fake_request_count() == 3);
    const matrix_http_request *sent = fake_request(2);
    EXPECT(matrix_is(sent->method, "POST") && matrix_is(sent->body, "one\n\ntwo") && sent->timeout_ms == 0);
    EXPECT(matrix_is(sent->headers[0].name, "Accept") && matrix_is(sent->headers[0].value, "text/plain"));
    EXPECT(matrix_is(sent->headers[1].name, "X-Empty") && sent->headers[1].value.length == 0);
}

static void it_says_what_went_wrong(void) {
    const char *const said[][2] = {
        {"", "say `METHOD URL` in the first line"},
        {"GET nowhere", "`nowhere` is no URL: write `https://HOST/PATH`"},
        {"GET https://shop.example.org/slow", "the host took too long"},
        {"GET https://shop.example.org/picture", "the answer is not text in UTF-8"},
        {"GET https://shop.example.org/\nAccept", "`Accept` is no header: write `Name: value`"},
        {"GET https://shop.example.org/\nHost: other.org", "the header `Host` cannot be set so"},
    };
    for (size_t place = 0; place < sizeof said / sizeof *said; place++) {
        EXPECT_TEXT(fake_ask(said[place][0]), said[place][1]);
        EXPECT(fake_was_refused());
    }
    matrix_buffer many = {0};
    matrix_print(&many, "GET https://shop.example.org/");
    for (int place = 0; place < 65; place++) matrix_print(&many, "\nx: y");
    matrix_append(&many, "", 1);
    EXPECT_TEXT(fake_ask((const char *)many.data), "no more than 64 headers are sent");
    matrix_free(&many);
}

static void it_waits_no_longer_than_it_is_set(void) {
    matrix_buffer why = {0};
    EXPECT(!fake_birth(&why, 1, "timeout_ms", "soon", NULL));
    EXPECT(matrix_is(matrix_view(&why), "`timeout_ms` must be a number of milliseconds"));
    EXPECT(fake_birth(&why, 1, "timeout_ms", "250", NULL));
    fake_ask("GET https://shop.example.org/");
    EXPECT(fake_request(fake_request_count() - 1)->timeout_ms == 250);
    EXPECT(fake_birth(&why, 1, NULL));
    fake_ask("GET https://shop.example.org/");
    EXPECT(fake_request(fake_request_count() - 1)->timeout_ms == 0);
    matrix_free(&why);
}

int main(void) {
    EXPECT_TEXT(fake_ask("GET https://shop.example.org/pears"), "the request was denied: why stands in the Soul's log");
    EXPECT(fake_was_refused());
    fake_forget_hosts();
    it_sends_what_it_is_told();
    it_says_what_went_wrong();
    it_waits_no_longer_than_it_is_set();
    return 0;
}
