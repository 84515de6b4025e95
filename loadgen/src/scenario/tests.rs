#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn table(toml: &str) -> toml::Table {
    toml::from_str(toml).unwrap()
}

#[test]
fn flags_override_the_file() {
    let file = r#"
        analysis = "why"
        duration = "2m"
        thresholds = ["lost == 0"]
        [relay]
        url = "ws://127.0.0.1:7000/{room}"
        [clients]
        count = 30
        rooms = 3
        [workload]
        rate = 12
        arrivals = "poisson"
    "#;
    let flags = table("seed = 7\nthresholds = [\"corrupt == 0\"]\nclients.count = 60");
    let scenario = Scenario::parse_with(file, flags).unwrap();
    assert_eq!((scenario.clients.count, scenario.room_count()), (60, 3));
    assert_eq!(scenario.duration, Duration::from_secs(120));
    assert_eq!(
        (scenario.workload.rate, scenario.workload.arrivals),
        (12.0, Arrivals::Poisson)
    );
    assert_eq!((scenario.seed, scenario.analysis.as_str()), (7, "why"));
    let thresholds: Vec<_> = scenario.thresholds.iter().map(|t| t.to_string()).collect();
    assert_eq!(thresholds, ["lost == 0", "corrupt == 0"]);
    assert!(!scenario.relay.is_owned());
}

#[test]
fn nothing_written_is_the_default_run() {
    assert_eq!(Scenario::parse("").unwrap(), Scenario::default());
}

#[test]
fn all_parts_can_be_written() {
    let scenario = Scenario::parse(
        r#"
        abort = true
        drain_timeout = "3s"
        [relay]
        history = "shallow"
        ready_timeout = "5s"
        [[rooms]]
        count = 10
        size = 2
        [[rooms]]
        count = 1
        size = 20
        [clients]
        writers = 5
        late = 3
        replica = "light"
        verify = "versions"
        ramp_up = "1s"
        sources = ["127.0.0.2"]
        [document]
        typed = 0.5
        form = "updates"
        [workload]
        batch = "50ms"
        rate = 100
        [[stages]]
        duration = "5s"
        [[stages]]
        name = "spike"
        duration = "2s"
        rate = 900
        ramp = true
        clients = 20
        [[link]]
        name = "mobile"
        share = 0.5
        delay = "40ms"
        jitter = "20ms"
        kbit = 1000
        fault = [{ kind = "cut-mid-frame", every = "3s", for = "500ms" }]
        [churn]
        per_second = 0.5
        [[fault]]
        kind = "pause"
        at = "2s"
        for = "1s"
        "#,
    );
    let scenario = scenario.unwrap();
    assert_eq!((scenario.clients.count, scenario.room_count()), (40, 11));
    assert_eq!(scenario.duration, Duration::from_secs(7));
    let recorded = serde_json::to_value(scenario.recorded(None)).unwrap();
    let stages = recorded["stages"].as_array().unwrap().iter();
    let stages: Vec<_> = stages
        .map(|stage| (&stage["name"], &stage["rate"]))
        .collect();
    let expected = [json!("stage-1"), json!(100.0), json!("spike"), json!(900.0)];
    assert_eq!(
        stages,
        [(&expected[0], &expected[1]), (&expected[2], &expected[3])]
    );
    assert_eq!(scenario.links[0].conditions().bandwidth, Some(125_000));
    assert_eq!(scenario.links[0].faults.len(), 1);
}

#[test]
fn mistakes_are_named_with_their_place_and_fix() {
    for (toml, messages) in [
        ("[clients]\ncont = 3", ["line 2", "did you mean `count`?"]),
        ("[cliens]\ncount = 3", ["line 1", "did you mean `clients`?"]),
        ("duration = \"3 parsecs\"", ["line 1", "write it as"]),
        ("duration = 3", ["line 1", "expected a string"]),
        ("[clients]\ncount = -3", ["line 2", "-3"]),
        ("[document]\ntyped = nan", ["line 2", "from 0 to 1, not"]),
        (
            "[[link]]\nshare = 1.5",
            ["line 2", "above 0 and at most 1, not 1.5"],
        ),
        ("[[stages]]\nduration = \"0s\"", ["line 2", "above 0s"]),
        (
            "[clients]\nramp_up = \"1000h\"",
            ["line 2", "at most 24h, not 1000h"],
        ),
        ("[clients]\ncount = 1.5", ["line 2", "a whole number"]),
        (
            "[clients]\ncount = \"3\"",
            ["line 2", "expected a whole number from 1 to"],
        ),
        ("[workload]\narrivals = \"often\"", ["line 2", "`poisson`"]),
        (
            "[[link]]\ndelay = \"5 lightyears\"",
            ["line 2", "write it as"],
        ),
        ("[clients", ["line 1", "clients"]),
        (
            "[workload]\nmix = { txet = 1.0 }",
            ["line 2", "did you mean `text`?"],
        ),
        (
            "seed = 1\nthresholds = [\"propagtion.p99 < 1ms\"]",
            ["line 2", "did you mean"],
        ),
        (
            "[relay]\nurl = \"http://h\"",
            ["line 2", "start with ws://"],
        ),
    ] {
        let error = Scenario::parse(toml).unwrap_err().to_string();
        for message in messages {
            assert!(error.contains(message), "{toml}: {error}");
        }
    }
}

#[test]
fn contradictions_are_found_in_files_too() {
    for (toml, message) in [
        ("[clients]\ncount = 3\nrooms = 4", "4 rooms for 3 clients"),
        (
            "[clients]\ncount = 3\nrooms = 1\nwriters = 4",
            "4 writers of 3 clients",
        ),
        (
            "[[link]]\nshare = 0.7\n[[link]]\nshare = 0.7",
            "add up to 1.4",
        ),
        (
            "[[rooms]]\ncount = 1\nsize = 2\n[clients]\ncount = 9",
            "drop `count`",
        ),
        ("[relay]\ncommand = \"relay\"", "must give its address"),
        ("[relay]\ntoken_env = \"NO_SUCH_TOKEN\"", "NO_SUCH_TOKEN"),
        (
            "[relay]\nurl = \"ws://h:1\"\n[[fault]]\nkind = \"kill\"\nat = \"1s\"\nfor = \"1s\"",
            "this run owns",
        ),
        (
            "duration = \"5s\"\n[[stages]]\nduration = \"5s\"",
            "drop `duration`",
        ),
        ("[presence]\nevery = \"1s\"", "carries no presence"),
        (
            "[workload]\nmix = { text = 0.9, presence = 0.1 }",
            "carries no presence",
        ),
        (
            "[workload]\nmix = { text = 0.5, tree = 0.4 }",
            "add up to 0.9; they must add up to 1",
        ),
        (
            "[workload]\nmix = { text = 1.5, map = -0.5 }",
            "from 0 to 1, not -0.5",
        ),
        ("[workload]\nmix = { text = nan }", "from 0 to 1, not"),
        (
            "[workload]\nedits = \"map\"\nmix = { text = 1.0 }",
            "drop `edits`",
        ),
        (
            "[clients]\nreplica = \"light\"\n[workload]\nmix = { text = 0.5, map = 0.5 }",
            "only trace edits",
        ),
        (
            "[relay]\nprotocol = \"loro\"\n[workload]\nmix = { presence = 1.0 }",
            "nothing to converge",
        ),
        (
            "[relay]\nprotocol = \"loro\"\n[presence]\nevery = \"1s\"\n[workload]\n\
             mix = { text = 0.5, presence = 0.5 }",
            "drop one of them",
        ),
        (
            "thresholds = [\"relay.rss < 1GiB\"]\n[relay]\nurl = \"ws://h:1\"",
            "`relay.rss < 1GiB`: only a relay that this run owns",
        ),
        (
            "[relay]\nsettle = \"0s\"",
            "must be a time above 0s and at most 24h, not 0s",
        ),
        (
            "thresholds = [\"propagation{stage:spike}.p99 < 1s\"]",
            "has no stage `spike`",
        ),
        (
            "[[link]]\nfault = [{ kind = \"cut\", for = \"1s\" }]",
            "either `at` or `every`",
        ),
        (
            "duration = \"24h\"\n[[link]]\nfault = [{ kind = \"cut\", every = \"1ms\", for = \"1us\" }]",
            "more than 10000000 outages",
        ),
    ] {
        let error = Scenario::parse(toml).unwrap_err().to_string();
        assert!(error.contains(message), "{toml}: {error}");
    }
}

#[test]
fn contradictions_are_named() {
    let check = |change: fn(&mut Scenario)| {
        let mut scenario = Scenario::default();
        change(&mut scenario);
        scenario.validate().unwrap_err()
    };
    let crowded = check(|scenario| scenario.rooms[0].count = 201);
    assert!(crowded.to_string().contains("at most 200 rooms"));
    let busy = check(|scenario| scenario.clients.writers = Some(201));
    assert!(busy.to_string().contains("at most 200 writers"));
    let churn = check(|scenario| scenario.churn.per_second = 1_000_000.0);
    assert!(churn.to_string().contains("more than 1,000,000 clients"));
    let alone = check(|scenario| scenario.rooms[0].size = 1);
    assert_eq!(alone, ScenarioError::NobodyElse);
}

#[test]
fn a_seed_may_be_any_number_of_64_bits() {
    for (toml, seed) in [
        ("seed = 7", 7),
        ("seed = \"7\"", 7),
        ("seed = \"18446744073709551615\"", u64::MAX),
    ] {
        assert_eq!(Scenario::parse(toml).unwrap().seed, seed);
    }
    for toml in ["seed = -1", "seed = \"18446744073709551616\"", "seed = 1.5"] {
        let error = Scenario::parse(toml).unwrap_err().to_string();
        assert!(
            error.contains("a whole number from 0 to 18446744073709551615"),
            "{error}"
        );
    }
}

#[test]
fn a_relay_that_is_killed_for_good_needs_no_end() {
    let scenario = Scenario::parse("fault = [{ kind = \"kill\", at = \"1s\" }]").unwrap();
    assert_eq!(scenario.faults[0].lasting, None);
    let recorded = serde_json::to_value(scenario.recorded(None)).unwrap();
    assert_eq!(recorded["faults"], json!([{ "kind": "kill", "at": "1s" }]));
}

#[test]
fn mistakes_in_access_are_named_without_the_secrets() {
    for (relay, message) in [
        (
            "url = \"ws://h/{rom}?token=s3cret\"",
            "did you mean `{room}`?",
        ),
        ("url = \"ws://me:s3cret@h:99999\"", "the port"),
        ("url = \"me:s3cret@h\"", "must start with"),
        ("headers = \"x-key: s3cret\"", "headers are a table"),
        ("headers = [\"s3cret\"]", "headers are a table"),
        ("headers = { x-key = [\"s3cret\"] }", "text in quotes"),
        ("headers = { x-key = \"s3cret\\n\" }", "characters"),
        ("headers = { x-key = \"s3cret{rom}\" }", "{rom}"),
        ("headers = { \"x key\" = \"s3cret\" }", "x key"),
        ("headers = { X-Key = \"s3cret\", x-key = \"\" }", "twice"),
        ("headers = { upgrade = \"s3cret\" }", "cannot be set"),
        (
            "headers = { sec-websocket-protocol = \"s3cret\" }",
            "`subprotocol`",
        ),
        ("headers = { x-key = \"s3cret\"", "line 2"),
        ("[relay.headers]\nx-key = \"s3cret", "line 3"),
        ("[relay.headers]\nx-key = [\"s3cret\"]", "line 2"),
        (
            "headers = { authorization = \"s3cret\" }\nurl = \"ws://me:s3cret@h\"",
            "more than once",
        ),
        ("token_env = \"s3cret.token\"", "not a token"),
        ("tokn_env = \"s3cret\"", "did you mean `token_env`?"),
        ("join_auth = [\"s3cret\"]", "text in quotes"),
        ("join_auth = \"s3cret\"", "has no credentials"),
        (
            "join_auth = \"s3cret{rom}\"\nprotocol = \"loro\"",
            "did you mean `{room}`?",
        ),
    ] {
        let error = Scenario::parse(&format!("[relay]\n{relay}")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(message), "{relay}: {error}");
        assert!(!error.contains("s3cret"), "{relay}: {error}");
    }
}

#[test]
fn secrets_are_neither_recorded_nor_printed_nor_repeated_after_the_relay() {
    let toml = r#"
        [relay]
        protocol = "loro"
        url = "wss://user:s3cret-1@h/?token=s3cret-2&doc={room}"
        command = "node relay.js --upstream ws://h/?token=s3cret-3"
        headers = { x-key = "Key s3cret-4" }
        join_auth = "{client}:s3cret-5"
    "#;
    let scenario = Scenario::parse(toml).unwrap();
    let recorded = serde_json::to_string(&scenario.recorded(None)).unwrap();
    assert!(recorded.contains("x-key"), "{recorded}");
    let printed = format!("{:?} {recorded}", scenario.relay.url);
    let printed = format!("{printed} {:?}", scenario.relay.headers);
    let printed = format!("{printed} {:?}", scenario.relay.join_auth);
    assert!(!printed.contains("s3cret"), "{printed}");
    let text = scenario
        .relay
        .hide_secrets("no s3cret-1, s3cret-2, s3cret-4 or client-1:s3cret-5 in {room}");
    assert_eq!(text, "no ***, ***, *** or client-1*** in {room}");
}

/// Records of all versions have these names: comparisons and reports read them.
#[test]
fn the_record_keeps_its_names() {
    let scenario = Scenario {
        workers: 1,
        ..Scenario::default()
    };
    let expected = json!({
        "abort": false,
        "access": { "headers": [], "insecure": false, "token": false },
        "arrivals": "constant",
        "batch_s": 0.0,
        "churn": { "per_second": 0.0 },
        "clients": 200,
        "dataset": "automerge-paper",
        "document": { "form": "snapshot", "typed": 0.0 },
        "drain_timeout_s": 10.0,
        "duration_s": 10.0,
        "edits": "trace",
        "faults": [],
        "history": "full",
        "late": 0,
        "links": [],
        "payload": null,
        "phase": "spread",
        "presence": null,
        "protocol": "broadcast",
        "ramp_up_s": 0.0,
        "rate": 1000.0,
        "ready_timeout_s": 10.0,
        "relay": "embedded",
        "replica": "auto",
        "room_prefix": "room-",
        "rooms": [{ "count": 40, "size": 5 }],
        "seed": 1,
        "settle_s": 0.5,
        "sources": [],
        "stages": [],
        "verify": "sample",
        "workers": 1,
        "writers": 200,
    });
    assert_eq!(
        serde_json::to_value(scenario.recorded(None)).unwrap(),
        expected
    );
}

#[test]
fn the_parts_of_a_recorded_scenario_keep_their_names() {
    let toml = r#"
        analysis = "why"
        thresholds = ["lost == 0"]
        [relay]
        protocol = "loro"
        url = "ws://h:1/{room}"
        command = "relay"
        headers = { x-user = "secret" }
        subprotocol = "sync"
        [workload]
        mix = { text = 0.75, map = 0.25 }
        [presence]
        every = "1500ms"
        [[stages]]
        duration = "5s"
        clients = 20
        [[link]]
        delay = "40ms"
        fault = [{ kind = "stall", at = "3s", for = "500ms" }]
    "#;
    let scenario = Scenario::parse(toml).unwrap();
    let recorded = serde_json::to_value(scenario.recorded(None)).unwrap();
    for (key, expected) in [
        ("analysis", json!("why")),
        ("thresholds", json!(["lost == 0"])),
        (
            "relay",
            json!({ "command": { "command": "relay", "url": "ws://h:1/{room}" } }),
        ),
        (
            "access",
            json!({ "headers": ["x-user"], "subprotocol": "sync", "token": false, "insecure": false }),
        ),
        ("presence", json!({ "every_s": 1.5, "bytes": 64 })),
        (
            "mix",
            json!({
                "text": 0.75, "rich-text": 0.0, "list": 0.0, "map": 0.25, "movable-list": 0.0,
                "tree": 0.0, "presence": 0.0,
            }),
        ),
        (
            "stages",
            json!([{ "name": "stage-1", "duration_s": 5.0, "rate": 1000.0, "ramp": false, "clients": 20 }]),
        ),
        (
            "links",
            json!([{
                "name": "link",
                "share": 1.0,
                "quality": { "delay": 40_000_000, "jitter": 0, "bandwidth": null },
                "faults": [{ "kind": "stall", "at": "3s", "for": "500ms" }],
            }]),
        ),
    ] {
        assert_eq!(recorded[key], expected, "{key}");
    }
}
