//! The help texts, which are part of the interface.

#[test]
fn help_texts_are_as_documented() {
    trycmd::TestCases::new().case("tests/help/*.trycmd");
}
