//! The chart's README: its table of values is generated from values.yaml.

use std::{env, fmt::Write as _, fs};

use e2e::chart;
use serde_json::Value;

const BEGIN: &str = "<!-- values: made from values.yaml by `CLOSEHAUL_UPDATE=1 cargo test -p e2e --test chart readme` -->\n";
const END: &str = "<!-- end of values -->";

#[test]
fn the_readme_says_what_the_values_are() {
    let values = fs::read_to_string(chart::directory().join("values.yaml")).unwrap();
    let path = chart::directory().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the beginning of the table");
    let (_, after) = rest.split_once(END).expect("the end of the table");
    let wanted = format!("{before}{BEGIN}\n{}\n{END}{after}", table(&values));
    if env::var_os("CLOSEHAUL_UPDATE").is_some() {
        fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(readme == wanted, "the table of values is not that of values.yaml:\n{BEGIN}");
}

#[test]
fn a_value_without_a_description_is_found() {
    let described = "# -- A.\na: 1\nb:\n  # -- C.\n  c: {}\n";
    let lines = table(described).lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines[2..], ["| `a` | `1` | A. |", "| `b.c` | `{}` | C. |"]);
    let missing = std::panic::catch_unwind(|| table("b:\n  c: 1\n")).unwrap_err();
    assert_eq!(missing.downcast_ref::<String>().unwrap(), "b.c has no description");
}

/// One row for each value that has a description: a line that begins with `# -- ` before its key.
/// Values below a described one belong to it. All others must have a description.
fn table(text: &str) -> String {
    let values = serde_saphyr::from_str::<Value>(text).unwrap();
    let mut table = "| Value | Default | Meaning |\n|---|---|---|".to_owned();
    // The keys that the current line is in, with how far each is indented.
    let mut path = Vec::<(usize, String)>::new();
    let (mut description, mut inside) = (None, None);
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim_start();
        if inside.is_some_and(|inside| indent > inside) {
            continue;
        }
        inside = None;
        if let Some(words) = line.strip_prefix("# -- ") {
            description = Some(words);
        }
        let key = line.split_once(':').map(|(key, _)| key);
        let Some(key) = key.filter(|_| !line.starts_with('#')) else { continue };
        path.retain(|(other, _)| *other < indent);
        path.push((indent, key.to_owned()));
        let names = path.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>();
        let value = names.iter().fold(&values, |value, name| &value[*name]);
        if let Some(words) = description.take() {
            let name = names.join(".");
            write!(table, "\n| `{name}` | `{}` | {words} |", value.to_string().replace('|', "\\|"))
                .unwrap();
            inside = Some(indent);
        } else {
            let is_group = value.as_object().is_some_and(|object| !object.is_empty());
            assert!(is_group, "{} has no description", names.join("."));
        }
    }
    table
}
