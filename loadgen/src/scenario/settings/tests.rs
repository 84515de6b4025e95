#![allow(clippy::unwrap_used)]

use super::*;

fn table(toml: &str) -> toml::Table {
    toml::from_str(toml).unwrap()
}

#[test]
fn flags_go_before_what_the_file_says() {
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
    let settings = Settings::parse_with(file, flags).unwrap();
    let scenario = settings.scenario().unwrap();
    assert_eq!((scenario.clients, scenario.room_count()), (60, 3));
    assert_eq!(scenario.duration, Duration::from_secs(120));
    assert_eq!(
        (scenario.rate, scenario.arrivals),
        (12.0, Arrivals::Poisson)
    );
    assert_eq!((scenario.seed, scenario.analysis.as_str()), (7, "why"));
    assert_eq!(scenario.thresholds, ["lost == 0", "corrupt == 0"]);
    assert!(matches!(scenario.relay, RelayTarget::Url(_)));
}

#[test]
fn nothing_written_is_the_default_run() {
    let scenario = Settings::default().scenario().unwrap();
    assert_eq!(scenario, Scenario::default());
}

#[test]
fn all_parts_can_be_written() {
    let settings = Settings::parse(
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
    let scenario = settings.unwrap().scenario().unwrap();
    assert_eq!((scenario.clients, scenario.room_count()), (40, 11));
    assert_eq!(scenario.duration, Duration::from_secs(7));
    let rates: Vec<_> = scenario.stages.iter().map(|s| s.rate).collect();
    assert_eq!(rates, [100.0, 900.0]);
    assert_eq!(scenario.links[0].quality.bandwidth, Some(125_000));
    assert_eq!(scenario.links[0].faults.len(), 1);
}

#[test]
fn mistakes_are_named_with_their_place_and_mend() {
    for (toml, messages) in [
        ("[clients]\ncont = 3", ["line 2", "did you mean `count`?"]),
        ("[cliens]\ncount = 3", ["line 1", "did you mean `clients`?"]),
        ("duration = \"3 parsecs\"", ["line 1", "write it as"]),
        ("duration = 3", ["line 1", "expected a string"]),
        ("[clients]\ncount = -3", ["line 2", "-3"]),
        ("[workload]\narrivals = \"often\"", ["line 2", "`poisson`"]),
        (
            "[[link]]\ndelay = \"5 lightyears\"",
            ["line 2", "write it as"],
        ),
        ("[clients", ["line 1", "clients"]),
    ] {
        let error = Settings::parse(toml).unwrap_err().to_string();
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
        ("[[stages]]\nduration = \"0s\"", "must be above 0"),
        ("[[link]]\nshare = 1.5", "share 1.5"),
        (
            "[[link]]\nshare = 0.7\n[[link]]\nshare = 0.7",
            "add up to 1.4",
        ),
        (
            "[[rooms]]\ncount = 1\nsize = 2\n[clients]\ncount = 9",
            "drop `count`",
        ),
        ("[relay]\ncommand = \"relay\"", "where it listens"),
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
            "[[link]]\nfault = [{ kind = \"cut\", for = \"1s\" }]",
            "either `at` or `every`",
        ),
    ] {
        let settings = Settings::parse(toml).unwrap();
        let error = settings.scenario().unwrap_err().to_string();
        assert!(error.contains(message), "{toml}: {error}");
    }
}
