/* Echo, in a fake node. */
#include "matrix_fake.h"
#include "matrix_test.h"

int main(void) {
    EXPECT_TEXT(fake_ask("what it is told"), "what it is told");
    EXPECT_TEXT(fake_ask(""), "");
    EXPECT(!fake_was_refused());
    return 0;
}
