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
