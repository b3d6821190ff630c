/* The stage in C, in a fake node. */
#include "matrix_fake.h"
#include "matrix_test.h"

static matrix_reply changed;

/* What a message says as it goes on. */
static const char *passed(const char *text) {
    if (fake_judge(true, "text/plain", matrix_text(text), &changed) == MATRIX_PASS) return text;
    matrix_append(&changed.body, "", 1);
    return (const char *)changed.body.data;
}

static void words_are_masked_in_texts_alone(matrix_buffer *why) {
    EXPECT(fake_configure(why, "words", "zion neo zionist", NULL));
    EXPECT_TEXT(passed("neo, of zion and zionists"), "***, of *** and ***s");
    EXPECT_TEXT(passed("nothing of it"), "nothing of it");
    EXPECT_TEXT(passed("zionzion zio zion"), "****** zio ***");
    EXPECT_TEXT(passed(""), "");
    EXPECT(fake_judge(true, "application/octet-stream", matrix_text("zion"), &changed) == MATRIX_PASS);
    EXPECT(fake_judge(false, "text/plain", matrix_text("zion"), &changed) == MATRIX_PASS);
    EXPECT(fake_judge(true, " Text/markdown; charset=utf-8", matrix_text("\xff zion \x80"), &changed) == MATRIX_REWRITE);
    EXPECT(matrix_is(matrix_view(&changed.body), "\xff *** \x80") && changed.content_type.length == 0);
    EXPECT(fake_configure(why, "words", "\u00fcberall", "with", "%s", NULL));
    EXPECT_TEXT(passed("\u00fcberall"), "%s");
}

static void a_forbidden_word_is_refused(matrix_buffer *why) {
    EXPECT(fake_configure(why, "forbidden", "attack", NULL));
    EXPECT_TEXT(passed("at dawn"), "at dawn");
    EXPECT(fake_judge(true, "text/plain", matrix_text("attack at dawn"), &changed) == MATRIX_REJECT);
    EXPECT(matrix_is(matrix_view(&changed.body), "it says what no message may say"));
}

static void wrong_settings_are_named(matrix_buffer *why) {
    char many[65 * 5 + 1] = "";
    for (int word = 0; word < 65; word++) strcat(many, "zion ");
    EXPECT(!fake_configure(why, NULL) && strstr((const char *)why->data, "nothing to do") != NULL);
    EXPECT(!fake_configure(why, "word", "x", NULL) && strstr((const char *)why->data, "no setting `word`") != NULL);
    EXPECT(!fake_configure(why, "words", "zion ab", NULL) && strstr((const char *)why->data, "`ab`, which is shorter") != NULL);
    EXPECT(!fake_configure(why, "words", many, NULL) && strstr((const char *)why->data, "there may be 64") != NULL);
}

int main(void) {
    matrix_buffer why = {0};
    words_are_masked_in_texts_alone(&why);
    a_forbidden_word_is_refused(&why);
    wrong_settings_are_named(&why);
    return 0;
}
