//! Every limit refuses. The tests are made of the list itself: each limit calls the function of its name in
//! [`refusal`](crate::refusal), so that one without a proof does not compile.

/// Makes of each limit of the list a test.
macro_rules! prove {
    (
        declared { $($(#[doc = $about:literal])+ $declared:ident: $type:ty = $default:expr, max $max:expr, $unit:literal, $by:literal;)* }
        node { $($(#[doc = $what:literal])+ $of_node:ident: $setting:literal, $unit_of:literal, $by_whom:literal;)* }
    ) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $declared() {
                crate::refusal::$declared().await;
                crate::refusal::beyond_the_most(
                    stringify!($declared),
                    |limits, config| limits.$declared = config.max.$declared + 1,
                )
                .await;
            }
        )*
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $of_node() {
                crate::refusal::$of_node().await;
            }
        )*
    };
}

matrixd::every_limit!(prove);
