/* A Soul that does what it is told, in the fake node: what an author writes works as the README says. */
#include <inttypes.h>

#include "matrix_fake.h"
#include "matrix_soul.h"
#include "matrix_test.h"

static char heard[256];

static bool told(const matrix_recollection *found, void *with) {
    matrix_append(with, found->text.data, found->text.length);
    return true;
}

static bool remembered(matrix_bytes rest, matrix_reply *reply) {
    matrix_impression impression = {.text = rest, .importance = 0.5f};
    uint64_t id;
    return matrix_remember(&impression, &id, &reply->body) && matrix_answer(reply, "%" PRIu64, id);
}

static bool counted(matrix_bytes key, matrix_reply *reply) {
    matrix_bucket bucket;
    matrix_buffer value = {0};
    bool is_there;
    uint64_t sum;
    if (!matrix_open("notes", &bucket, &reply->body)) return false;
    bool is_done = matrix_set(bucket, key, matrix_text("x"), &reply->body) &&
                   matrix_get(bucket, key, &value, &is_there, &reply->body) &&
                   matrix_increment(bucket, matrix_text("total"), 2, &sum, &reply->body) &&
                   matrix_delete(bucket, key, &reply->body);
    is_done = is_done && matrix_answer(reply, "%d %zu %" PRIu64, is_there, value.length, sum);
    matrix_free(&value);
    matrix_close(bucket);
    return is_done;
}

static bool receive(const matrix_message *message, matrix_reply *reply) {
    matrix_bytes body = message->content.body, verb = {body.data, 0};
    while (verb.length < body.length && verb.data[verb.length] != ' ') verb.length++;
    size_t skipped = verb.length < body.length ? verb.length + 1 : verb.length;
    matrix_bytes rest = {body.data + skipped, body.length - skipped};
    matrix_address sum = {MATRIX_SOUL, matrix_text("sum")};
    if (matrix_is(verb, "ask")) {
        matrix_reply answer = {0};
        bool is_answered = matrix_ask(sum, matrix_plain(rest), 1000, &answer, &reply->body);
        if (is_answered) matrix_answer_content(reply, matrix_plain(matrix_view(&answer.body)));
        matrix_free(&answer.body);
        matrix_free(&answer.content_type);
        return is_answered;
    }
    if (matrix_is(verb, "send")) return matrix_send((matrix_address){MATRIX_TOPIC, matrix_text("news")}, matrix_plain(rest), &reply->body);
    if (matrix_is(verb, "tell")) return matrix_emit("word.said", matrix_plain(rest)), true;
    if (matrix_is(verb, "remember")) return remembered(rest, reply);
    if (matrix_is(verb, "recall")) return reply->is_given = true, matrix_recall(rest, 2, told, &reply->body, &reply->body);
    if (matrix_is(verb, "count")) return counted(rest, reply);
    if (matrix_is(verb, "time")) return matrix_answer(reply, "%" PRIu64, matrix_now());
    return matrix_refuse(&reply->body, "`%.*s` is no verb", (int)verb.length, (const char *)verb.data);
}

const matrix_soul_definition matrix_soul = {.receive = receive};

static bool sum(matrix_address to, matrix_content content, matrix_reply *reply) {
    EXPECT(to.kind == MATRIX_SOUL && matrix_is(to.name, "sum"));
    if (matrix_is(content.body, "much")) return matrix_refuse(&reply->body, "say a number");
    return matrix_answer(reply, "%.*s pears", (int)content.body.length, (const char *)content.body.data);
}

static void hear(const char *what, matrix_bytes name, matrix_bytes said) {
    snprintf(heard, sizeof heard, "%s %.*s %.*s", what, (int)name.length, (const char *)name.data, (int)said.length, (const char *)said.data);
}

static void souls_reach_the_world(void) {
    fake_listener = hear;
    EXPECT_TEXT(fake_ask("ask 2"), "nobody is called `sum`");
    EXPECT(fake_was_refused());
    fake_recipient = sum;
    EXPECT_TEXT(fake_ask("ask 2"), "2 pears");
    EXPECT_TEXT(fake_ask("ask much"), "say a number");
    EXPECT(fake_was_refused());
    fake_ask("send hello");
    EXPECT_TEXT(heard, "send news hello");
    fake_ask("tell it");
    EXPECT_TEXT(heard, "event word.said it");
    matrix_log(MATRIX_WARN, "%s %d", "warned", 2);
    EXPECT_TEXT(heard, "log  warned 2");
    fake_ask("remember the harbour");
    EXPECT_TEXT(fake_ask("recall harbour"), "the harbour");
    EXPECT_TEXT(fake_ask("count k"), "1 1 2");
    EXPECT_TEXT(fake_ask("count k"), "1 1 4");
    fake_now += 5;
    EXPECT_TEXT(fake_ask("time"), "1000000000005");
    EXPECT_TEXT(fake_ask("dance"), "`dance` is no verb");
}

static void numbers_survive(void) {
    const uint64_t numbers[] = {0, 1, 127, 128, 300, UINT64_MAX};
    matrix_buffer state = {0};
    for (size_t place = 0; place < sizeof numbers / sizeof *numbers; place++) {
        uint64_t found;
        matrix_clear(&state);
        matrix_put(&state, numbers[place]);
        for (size_t length = 0; length < state.length; length++) {
            matrix_bytes cut = {state.data, length};
            EXPECT(!matrix_take(&cut, &found));
        }
        matrix_bytes rest = matrix_view(&state);
        EXPECT(matrix_take(&rest, &found) && found == numbers[place] && rest.length == 0);
    }
    uint64_t found;
    matrix_bytes wide = matrix_text("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
    EXPECT(!matrix_take(&wide, &found));
    matrix_free(&state);
}

int main(void) {
    souls_reach_the_world();
    numbers_survive();
    EXPECT(matrix_is_utf8(matrix_text("a\u00e9\u20ac\U0001F30D")) && matrix_is_utf8(matrix_text("")));
    const char *wrong[] = {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"};
    for (size_t place = 0; place < sizeof wrong / sizeof *wrong; place++) EXPECT(!matrix_is_utf8(matrix_text(wrong[place])));
    matrix_buffer why = {0};
    EXPECT(fake_birth(&why, 1, NULL));
    uint64_t drawn = matrix_random();
    EXPECT(drawn != matrix_random() && fake_birth(&why, 1, NULL) && drawn == matrix_random());
    return 0;
}
