//! Every way a file can be wrong gets one message that names the file, the txn
//! and the reason.

use std::io::Write;

use syncbench_datasets::load_bytes;

/// Returns the error message of loading `bytes` as the file `t.json`.
fn complaint(bytes: &[u8]) -> String {
    match load_bytes("t.json", bytes) {
        Ok(trace) => panic!("loaded {} txns", trace.txn_count()),
        Err(error) => error.to_string(),
    }
}

fn assert_complains(bytes: &[u8], wanted: &[&str]) {
    let message = complaint(bytes);
    assert!(message.starts_with("t.json: "), "{message}");
    assert!(!message.contains('\n'), "{message}");
    for part in wanted {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}

fn sequential(end: &str, txns: &str) -> Vec<u8> {
    format!(r#"{{"startContent":"","endContent":"{end}","txns":[{txns}]}}"#).into_bytes()
}

fn concurrent(end: &str, agents: u32, txns: &str) -> Vec<u8> {
    format!(r#"{{"kind":"concurrent","endContent":"{end}","numAgents":{agents},"txns":[{txns}]}}"#)
        .into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed
        .write_all(bytes)
        .and_then(|()| packed.finish())
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_truncated_gzip_file_is_told_from_a_malformed_one() {
    let many = r#"{"patches":[[0,0,"a"]]},"#.repeat(10_000) + r#"{"patches":[[0,0,"a"]]}"#;
    let packed = gzip(&sequential(&"a".repeat(10_001), &many));
    assert!(load_bytes("t.json", &packed).is_ok());
    assert_complains(
        &packed[..packed.len() / 2],
        &["txn ", "cut short or damaged, get it again"],
    );
    assert_complains(
        &packed[..packed.len() - 4],
        &["cut short or damaged, get it again"],
    );
    assert_complains(&packed[..5], &["cut short or damaged, get it again"]);
}

#[test]
fn bytes_after_the_end_of_gzip_data_are_named_unless_they_are_padding() {
    let trace = sequential("a", r#"{"patches":[[0,0,"a"]]}"#);
    let (head, tail) = trace.split_at(20);
    let members = [gzip(head), gzip(tail)].concat();
    for padding in [0, 1, 512] {
        let padded = [&members[..], &vec![0; padding]].concat();
        assert!(load_bytes("t.json", &padded).is_ok(), "{padding}");
    }
    let longer = [&members[..], b"rubbish"].concat();
    assert_complains(
        &longer,
        &["7 bytes follow the end of the gzip data", "remove"],
    );
    assert!(!complaint(&longer).contains("cut short"));
}

#[test]
fn a_byte_order_mark_is_skipped_and_utf16_is_refused() {
    let trace = sequential("é", r#"{"patches":[[0,0,"é"]]}"#);
    let marked = [b"\xef\xbb\xbf", &trace[..]].concat();
    for bytes in [gzip(&marked), marked] {
        assert!(load_bytes("t.json", &bytes).is_ok());
    }
    let text = String::from_utf8(trace).unwrap();
    let units = || text.encode_utf16();
    let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    for bytes in [
        [b"\xff\xfe", &little[..]].concat(),
        [b"\xfe\xff", &big[..]].concat(),
        gzip(&little),
        little,
        big,
    ] {
        assert_complains(&bytes, &["UTF-16", "save it as UTF-8"]);
    }
}

#[test]
fn a_time_as_a_number_is_answered_with_the_time_to_write() {
    for (number, time) in [
        ("1618812418513", "2021-04-19T06:06:58.513Z"),
        ("\"1618812418513\"", "2021-04-19T06:06:58.513Z"),
        ("1618812418", "2021-04-19T06:06:58.000Z"),
    ] {
        let txn = format!(r#"{{"time":{number},"patches":[[0,0,"a"]]}}"#);
        let wanted = format!("write the time as \"{time}\"");
        assert_complains(&sequential("a", &txn), &["txn 0, field `time`", &wanted]);
    }
    for number in ["18446744073709551615", "-1", "0.5", "1e300"] {
        let txn = format!(r#"{{"time":{number},"patches":[[0,0,"a"]]}}"#);
        assert_complains(
            &sequential("a", &txn),
            &["txn 0, field `time`", "2021-04-19"],
        );
    }
}

#[test]
fn positions_in_other_units_are_told_from_a_damaged_file() {
    let in_range = |pos| format!(r#"{{"patches":[[0,0,"😀abc"]]}},{{"patches":[[{pos},1,"x"]]}}"#);
    for (pos, units) in [(2, "UTF-16 code units"), (4, "UTF-8 bytes")] {
        let trace = sequential("😀xbc", &in_range(pos));
        assert_complains(&trace, &[units, "convert them to Unicode scalar values"]);
        assert!(!complaint(&trace).contains("intact"));
    }
    let past_the_end = r#"{"patches":[[0,0,"😀"]]},{"patches":[[2,0,"x"]]}"#;
    let wanted = ["txn 1, field `patches`", "UTF-16 code units"];
    assert_complains(&sequential("😀x", past_the_end), &wanted);
    // No unit makes this one right.
    assert_complains(&sequential("😀x", &in_range(2)), &["intact copy"]);
}

#[test]
fn truncated_json_says_that_it_is_cut_short() {
    let whole = sequential("a", r#"{"patches":[[0,0,"a"]]}"#);
    for len in 0..whole.len() {
        let message = complaint(&whole[..len]);
        assert!(
            message.contains("the file is cut short"),
            "{len}: {message}"
        );
    }
}

#[test]
fn what_follows_the_trace_is_refused() {
    let mut bytes = sequential("a", r#"{"patches":[[0,0,"a"]]}"#);
    bytes.extend_from_slice(b"  \n");
    assert!(load_bytes("t.json", &bytes).is_ok());
    bytes.extend_from_slice(b"{}");
    assert_complains(&bytes, &["trailing characters"]);
}

#[test]
fn a_wrong_field_type_names_txn_and_field() {
    let good = r#"{"patches":[[0,0,"a"]]}"#;
    let cases = [
        (
            r#"{"patches":[["0",0,"a"]]}"#,
            vec!["txn 1, field `patches`", "string"],
        ),
        (
            r#"{"patches":[[0,-1,"a"]]}"#,
            vec!["txn 1, field `patches`", "`-1`"],
        ),
        (
            r#"{"patches":[[0,0.5,"a"]]}"#,
            vec!["txn 1, field `patches`", "0.5"],
        ),
        (
            r#"{"patches":[[4294967296,0,"a"]]}"#,
            vec!["txn 1, field `patches`", "4294967296"],
        ),
        (
            r#"{"patches":[[0,0,7]]}"#,
            vec!["txn 1, field `patches`", "expected a string"],
        ),
        (
            r#"{"patches":[[0,0]]}"#,
            vec![
                "txn 1, field `patches`",
                "[position, deleted, \"inserted\"]",
            ],
        ),
        (
            r#"{"patches":[[0,0,"a",1]]}"#,
            vec!["txn 1, field `patches`"],
        ),
        (
            r#"{"patches":{}}"#,
            vec!["txn 1, field `patches`", "an array of patches"],
        ),
        (
            r#"{"time":12,"patches":[]}"#,
            vec!["txn 1, field `time`", "1970-01-01T00:00:12.000Z"],
        ),
        (
            r#"{"time":"noon","patches":[]}"#,
            vec!["txn 1, field `time`", "noon"],
        ),
        (r#"{"time":null}"#, vec!["txn 1, field `time`"]),
        (r#"{}"#, vec!["txn 1", "missing field `patches`"]),
        (
            r#"{"patches":[],"patches":[]}"#,
            vec!["txn 1, field `patches`", "duplicate"],
        ),
        (r#"[]"#, vec!["txn 1", "an object with `patches`"]),
        (
            r#"{"agent":-1,"patches":[]}"#,
            vec!["txn 1, field `agent`", "`-1`"],
        ),
    ];
    for (bad, wanted) in cases {
        assert_complains(&sequential("a", &format!("{good},{bad}")), &wanted);
    }
}

#[test]
fn a_document_that_is_no_trace_says_what_a_trace_is() {
    assert_complains(b"[]", &["an object with `endContent` and `txns`"]);
    assert_complains(b"{}", &["missing field `endContent`"]);
    assert_complains(br#"{"endContent":""}"#, &["missing field `txns`"]);
    assert_complains(
        br#"{"endContent":7}"#,
        &["field `endContent`", "expected a string"],
    );
    assert_complains(
        br#"{"kind":"tree","endContent":"","txns":[]}"#,
        &["field `kind`", "tree"],
    );
    assert_complains(b"hello", &["not JSON"]);
    assert_complains(b"", &["cut short"]);
    assert_complains(
        br#"{"endContent":"a","endContent":"a"}"#,
        &["duplicate field `endContent`"],
    );
}

#[test]
fn a_position_past_the_end_names_the_txn() {
    let txns = r#"{"patches":[[0,0,"ab"]]},{"patches":[[3,0,"c"]]}"#;
    assert_complains(
        &sequential("abc", txns),
        &[
            "txn 1, field `patches`",
            "reaches character 3",
            "which has 2",
        ],
    );
    let txns = r#"{"patches":[[0,0,"ab"]]},{"patches":[[0,0,"x"],[1,3,""]]}"#;
    assert_complains(
        &sequential("x", txns),
        &["txn 1", "reaches character 4", "which has 3"],
    );
    let txns = r#"{"parents":[],"agent":0,"patches":[[0,0,"ab"]]},{"parents":[0],"agent":0,"patches":[[2,1,""]]},
                  {"parents":[0],"agent":1,"patches":[[0,0,"z"]]}"#;
    assert_complains(
        &concurrent("zab", 2, txns),
        &["txn 1, field `patches`", "reaches character 3"],
    );
}

#[test]
fn positions_count_scalar_values_not_bytes() {
    let txns = r#"{"patches":[[0,0,"é😀"]]},{"patches":[[2,0,"x"]]},{"patches":[[1,1,""]]}"#;
    assert!(load_bytes("t.json", &sequential("éx", txns)).is_ok());
    let txns = r#"{"patches":[[0,0,"é😀"]]},{"patches":[[6,0,"x"]]}"#;
    assert_complains(&sequential("é😀x", txns), &["txn 1", "UTF-8 bytes"]);
    let txns = r#"{"patches":[[0,0,"é😀"]]},{"patches":[[7,0,"x"]]}"#;
    assert_complains(&sequential("é😀x", txns), &["txn 1", "which has 2"]);
}

#[test]
fn a_wrong_end_text_is_never_used() {
    let txns = r#"{"patches":[[0,0,"ab"]]}"#;
    assert_complains(
        &sequential("ax", txns),
        &[
            "another text than `endContent`, from character 1 on",
            "never used",
        ],
    );
    assert_complains(
        &sequential("abc", txns),
        &["give 2 characters, `endContent` has 3"],
    );
    let branches = r#"{"parents":[],"agent":0,"patches":[[0,0,"ab"]]},{"parents":[0],"agent":0,"patches":[[0,1,""]]},
                      {"parents":[0],"agent":1,"patches":[[0,1,""]]}"#;
    assert!(load_bytes("t.json", &concurrent("b", 2, branches)).is_ok());
    assert_complains(
        &concurrent("abc", 2, branches),
        &["`endContent` has 3", "can only give 0 to 2"],
    );
}

/// Found by fuzzing: a comparison by bytes cut into the `é`.
#[test]
fn a_wrong_end_text_may_differ_inside_a_character() {
    assert_complains(
        &sequential("xyé", r#"{"patches":[[0,0,"x.y"]]}"#),
        &["another text than `endContent`, from character 1 on"],
    );
}

fn with_second(parents: &str, agent: u32) -> Vec<u8> {
    let first = r#"{"parents":[],"agent":0,"patches":[[0,0,"a"]]}"#;
    let second = format!(r#"{{"parents":{parents},"agent":{agent},"patches":[]}}"#);
    concurrent("a", 2, &format!("{first},{second}"))
}

#[test]
fn parents_must_exist_and_come_first() {
    assert!(load_bytes("t.json", &with_second("[0]", 1)).is_ok());
    assert_complains(
        &with_second("[1]", 1),
        &[
            "txn 1, field `parents`",
            "parent 1 lies in the future (or in a cycle)",
        ],
    );
    assert_complains(
        &with_second("[7]", 1),
        &["txn 1, field `parents`", "parent 7 dangles", "only 2 txns"],
    );
    assert_complains(
        &with_second("[0,0]", 1),
        &["txn 1, field `parents`", "named twice"],
    );
    assert_complains(&with_second("[-1]", 1), &["txn 1, field `parents`", "`-1`"]);
    assert_complains(
        &with_second("0", 1),
        &["txn 1, field `parents`", "an array of txn indices"],
    );
}

#[test]
fn a_cycle_is_refused() {
    let txns = r#"{"parents":[1],"agent":0,"patches":[]},{"parents":[0],"agent":1,"patches":[]}"#;
    assert_complains(
        &concurrent("", 2, txns),
        &["txn 0, field `parents`", "in the future (or in a cycle)"],
    );
}

#[test]
fn an_agent_concurrent_with_itself_is_refused() {
    let txns = r#"{"parents":[],"agent":0,"patches":[]},{"parents":[0],"agent":1,"patches":[]},
                  {"parents":[0],"agent":1,"patches":[]}"#;
    assert_complains(
        &concurrent("", 2, txns),
        &[
            "txn 2, field `parents`",
            "agent 1 is concurrent with itself",
            "its txn 1",
        ],
    );
    assert_complains(
        &with_second("[]", 0),
        &["txn 1", "agent 0 is concurrent with itself"],
    );
}

#[test]
fn a_parent_that_another_parent_contains_is_refused() {
    let txns = r#"{"parents":[],"agent":0,"patches":[]},{"parents":[0],"agent":1,"patches":[]},
                  {"parents":[0,1],"agent":0,"patches":[]}"#;
    assert_complains(
        &concurrent("", 2, txns),
        &["txn 2, field `parents`", "parent 0 is an ancestor"],
    );
}

#[test]
fn agents_and_children_must_be_as_stated() {
    assert_complains(
        &with_second("[0]", 2),
        &["txn 1, field `agent`", "agent 2 of 2"],
    );
    let one = r#"{"parents":[],"agent":0,"numChildren":1,"patches":[]}"#;
    assert_complains(
        &concurrent("", 1, one),
        &["txn 0, field `numChildren`", "says 1, but 0"],
    );
    let one = r#"{"parents":[],"agent":0,"patches":[]}"#;
    assert_complains(
        &concurrent("", 4_000_000_000, one),
        &["field `numAgents`", "4000000000 agents in 1 txns"],
    );
    let one = r#"{"parents":[],"patches":[]}"#;
    assert_complains(&concurrent("", 1, one), &["txn 0", "missing field `agent`"]);
    let mixed = r#"{"patches":[]},{"parents":[0],"agent":0,"patches":[]}"#;
    assert_complains(
        &sequential("", mixed),
        &["txn 1, field `parents`", "not in the txns before"],
    );
    let mixed = r#"{"parents":[],"agent":0,"patches":[]},{"agent":0,"patches":[]}"#;
    assert_complains(
        &sequential("", mixed),
        &["txn 1", "missing field `parents`"],
    );
    assert_complains(
        br#"{"kind":"concurrent","endContent":"","txns":[{"patches":[]}]}"#,
        &["txn 0, field `parents`"],
    );
}

#[test]
fn lone_surrogates_are_refused() {
    for bad in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\ud83d"] {
        let txns = format!(r#"{{"patches":[]}},{{"patches":[[0,0,"{bad}"]]}}"#);
        assert_complains(
            &sequential("", &txns),
            &["txn 1, field `patches`", "not JSON"],
        );
    }
    let pair = r#"{"patches":[[0,0,"\ud83d\ude00"]]}"#;
    assert!(load_bytes("t.json", &sequential("😀", pair)).is_ok());
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let mut bytes = sequential("a", r#"{"patches":[[0,0,"a"]]}"#);
    let at = bytes.iter().rposition(|&byte| byte == b'a').unwrap_or(0);
    for at in [at, bytes.len() - 8] {
        bytes[at] = 0xff;
        assert_complains(&bytes, &["not JSON"]);
    }
}

#[test]
fn fields_that_are_not_known_are_stepped_over() {
    let txns = r#"{"patches":[[0,0,"a"]],"_span":[0,{"x":[null,true,1.5e3,"\n"]}]}"#;
    assert!(load_bytes("t.json", &sequential("a", txns)).is_ok());
}

/// Reads like a file of `prefix` and then a gigabyte of opening brackets.
fn gigabyte_of_brackets(prefix: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let brackets = vec![b'['; 1 << 20];
    let written = packed.write_all(prefix.as_bytes()).and_then(|()| {
        // A deflate stream this regular packs 200:1; the reader must stop long before.
        (0..1_024).try_for_each(|_| packed.write_all(&brackets))
    });
    written
        .and_then(|()| packed.finish())
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_gigabyte_of_brackets_is_refused_at_once_wherever_it_stands() {
    assert_complains(&gigabyte_of_brackets(""), &["an object with `endContent`"]);
    assert_complains(
        &gigabyte_of_brackets(r#"{"x":"#),
        &["field `(unknown)`", "recursion limit"],
    );
    assert_complains(
        &gigabyte_of_brackets(r#"{"txns":"#),
        &["txn 0", "an object with `patches`"],
    );
    assert_complains(
        &gigabyte_of_brackets(r#"{"txns":[{"patches":[["#),
        &["txn 0, field `patches`"],
    );
}
