/* Counter, in a fake node. */
#include "matrix_fake.h"
#include "matrix_test.h"

int main(void) {
    matrix_buffer state = {0};
    EXPECT_TEXT(fake_ask("add 40"), "40");
    EXPECT_TEXT(fake_ask(" add 2\n"), "42");
    const char *wrong[] = {"", "add", "add -1", "add x", "add 1 2", "get it", "add 18446744073709551615", "add 99999999999999999999999"};
    for (size_t place = 0; place < sizeof wrong / sizeof *wrong; place++) {
        fake_ask(wrong[place]);
        EXPECT(fake_was_refused());
    }
    EXPECT(fake_save_and_restore(&state));
    EXPECT_TEXT(fake_ask("get"), "42");

    EXPECT(fake_restore("counter/1", matrix_text("\xac\x02")));
    EXPECT_TEXT(fake_ask("get"), "300");
    EXPECT(!fake_restore("counter/2", matrix_text("\xac\x02")));
    const char *states[] = {"", "\x80", "\x01\x02"};
    for (size_t place = 0; place < sizeof states / sizeof *states; place++) EXPECT(!fake_restore("counter/1", matrix_text(states[place])));
    EXPECT_TEXT(fake_ask("get"), "300");
    return 0;
}
