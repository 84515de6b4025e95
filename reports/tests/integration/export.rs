//! The output of the exporters for records, good and bad.

use std::error::Error;
use std::path::{Path, PathBuf};

use syncbench_reports::export::{Exporter, Html, Terminal};
use syncbench_reports::record::Record;

use crate::sample;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The page of a sample; a copy stays in the target folder, to look at.
fn page(name: &str, record: &Record) -> Result<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("reports")
        .join(name);
    let path = Html.write(record, &folder)?;
    assert_eq!(path, folder.join("report.html"));
    Ok(std::fs::read_to_string(path)?)
}

#[test]
fn the_terminal_summary_of_a_good_run() -> Result {
    let terminal = Terminal {
        colour: false,
        files: vec![PathBuf::from("out/report.html")],
    };
    insta::assert_snapshot!(terminal.export(&sample::healthy())?);
    Ok(())
}

#[test]
fn the_terminal_summary_of_bad_runs() -> Result {
    let summaries: Vec<String> = sample::all()[1..]
        .iter()
        .map(|(name, record)| {
            Ok(format!(
                "## {name}\n{}",
                Terminal::default().export(record)?
            ))
        })
        .collect::<Result<_>>()?;
    insta::assert_snapshot!(summaries.join("\n"));
    Ok(())
}

#[test]
fn only_the_verdict_is_coloured_and_only_where_it_helps() -> Result {
    let record = sample::not_converged();
    let plain = Terminal::default().export(&record)?;
    assert!(!plain.contains('\x1b'));
    let coloured = Terminal {
        colour: true,
        ..Terminal::default()
    };
    let coloured = coloured.export(&record)?;
    let (first, rest) = coloured.split_once('\n').ok_or("one line only")?;
    assert!(first.starts_with("\x1b[1;31m") && first.ends_with("\x1b[0m"));
    assert!(!rest.contains('\x1b'));
    Ok(())
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() -> Result {
    for (name, record) in sample::all() {
        let page = page(name, &record)?;
        for loader in [
            "<script", "<link", "<img", "<iframe", "@import", "url(", "src=\"", "href=\"",
        ] {
            assert!(!page.contains(loader), "{name} has {loader}");
        }
    }
    Ok(())
}

#[test]
fn texts_of_a_record_cannot_become_markup() -> Result {
    let page = page("not-converged", &sample::not_converged())?;
    assert!(
        page.contains("onerror=alert(1)"),
        "the room's name is not shown"
    );
    assert!(!page.contains("<b>markup</b>") && !page.contains("<script>alert"));
    Ok(())
}

#[test]
fn a_page_names_every_failed_room_and_what_it_lacks() -> Result {
    let page = page("not-converged", &sample::not_converged())?;
    for text in ["room-7", "client-47, client-87", "8:210..231", "38 of 40"] {
        assert!(page.contains(text), "{text}");
    }
    Ok(())
}

#[test]
fn a_page_charts_what_moves_and_tells_the_rest() -> Result {
    let page = page("healthy", &sample::healthy())?;
    for text in [
        "CPU over time",
        "Memory over time",
        "Staleness over time",
        "4 threads, 231 descriptors, 41,230 voluntary context switches",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // Their number does not change.
    assert!(!page.contains("Threads over time"));
    Ok(())
}

#[test]
fn every_stage_has_a_colour_of_its_own() -> Result {
    let mut record = sample::healthy();
    let stages = [
        "generator_lag",
        "edit",
        "batch",
        "link",
        "relay",
        "client_queue",
        "import",
    ];
    record.attribution = stages.map(|stage| (stage.to_owned(), 1.0 / 7.0)).into();
    let page = page("stages", &record)?;
    let rule = |n: usize| {
        let (_, rule) = page.split_once(&format!(".c{n} {{ --c: "))?;
        Some(rule.split_once(';')?.0)
    };
    // Where stages do not account for all, the remainder is one more.
    let colours: Vec<&str> = (1..=stages.len() + 1).filter_map(rule).collect();
    let distinct: std::collections::BTreeSet<&&str> = colours.iter().collect();
    assert_eq!(distinct.len(), stages.len() + 1, "{colours:?}");
    assert_eq!(page.matches("class=\"swatch c").count(), stages.len());
    for colour in colours {
        let name = colour.trim_start_matches("var(").trim_end_matches(')');
        assert!(page.contains(&format!("{name}: #")), "{colour}");
    }
    Ok(())
}

#[test]
fn a_page_begins_with_the_scenario_and_what_it_is_for() -> Result {
    let mut record = sample::healthy();
    record.run.scenario = serde_json::json!({
        "name": "classroom", "analysis": "Thirty pupils & one text.", "seed": 1,
    });
    let page = page("scenario", &record)?;
    let place = |text: &str| page.find(text).ok_or(text.to_owned());
    let places = [
        place("<b>classroom</b>")?,
        place("Thirty pupils &#38; one text.")?,
        place("<h1>")?,
    ];
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(page.matches("Thirty pupils").count(), 1);
    Ok(())
}

#[test]
fn a_run_without_deliveries_draws_no_latency() -> Result {
    let mut record = sample::healthy();
    let none = sample::nothing().latency["propagation"].clone();
    for metric in ["propagation", "propagation_from_send"] {
        record.latency.insert(metric.to_owned(), none.clone());
    }
    assert!(record.latency["generator_lag"].count > 0);
    let page = page("no-deliveries", &record)?;
    let (_, chart) = page
        .split_once("<h3>Latency by percentile</h3>")
        .ok_or("no chart")?;
    let (chart, _) = chart.split_once("</figure>").ok_or("no end")?;
    assert!(
        chart.contains("No samples.") && !chart.contains("<svg"),
        "{chart}"
    );
    Ok(())
}

#[test]
fn a_run_without_samples_shows_no_figures() -> Result {
    let page = page("nothing", &sample::nothing())?;
    assert!(page.contains("no samples") && page.contains("No samples."));
    assert!(!page.contains("0 ns") && !page.contains("<svg"));
    Ok(())
}

#[test]
fn a_damaged_histogram_costs_its_curve_and_not_the_report() -> Result {
    let mut record = sample::healthy();
    for distribution in record.latency.values_mut() {
        distribution.hdr = "AAAA".to_owned();
    }
    let page = page("damaged", &record)?;
    assert!(page.contains("No samples.") && page.contains("<svg"));
    Ok(())
}

#[test]
fn an_impossible_folder_is_named() {
    let error = Html
        .write(&sample::nothing(), Path::new("/dev/null/folder"))
        .expect_err("a file is no folder");
    assert!(
        error.to_string().contains("/dev/null/folder/report.html"),
        "{error}"
    );
}
