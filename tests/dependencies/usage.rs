//! Usage: which dependencies the sources of a member name.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

/// The identifiers in the sources of the member in `directory`.
pub fn sources(directory: &Path) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let parts = ["src", "tests", "benches", "build.rs"].map(|part| directory.join(part));
    parts.iter().filter(|part| part.exists()).for_each(|part| collect(part, &mut words));
    words
}

fn collect(path: &Path, words: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), words);
        }
    } else if path.extension().is_some_and(|it| it == "rs") {
        let text = fs::read_to_string(path).unwrap();
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        words.extend(code.flat_map(|line| line.split(|c| !is_part(c))).map(str::to_owned));
    }
}

/// The dependencies of a member that none of its `words` names.
pub fn unused<'m>(
    member: &'m Value,
    words: &'m BTreeSet<String>,
) -> impl Iterator<Item = String> + 'm {
    let ignored = &member["metadata"]["cargo-machete"]["ignored"];
    let ignored: Vec<&str> =
        ignored.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let dependencies = member["dependencies"].as_array().into_iter().flatten();
    dependencies.filter_map(move |dependency| {
        let name = dependency["rename"].as_str().or_else(|| dependency["name"].as_str())?;
        let is_used = words.contains(&name.replace('-', "_")) || ignored.contains(&name);
        (!is_used).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_planted_dependency_is_found() {
        let member = json!({
            "dependencies": [
                { "name": "serde" },
                { "name": "left-pad" },
                { "name": "a-feature" },
                { "name": "long", "rename": "short" },
            ],
            "metadata": { "cargo-machete": { "ignored": ["a-feature"] } },
        });
        let words = ["serde", "short", "left"].map(str::to_owned).into_iter().collect();
        assert_eq!(unused(&member, &words).collect::<Vec<_>>(), ["left-pad"]);
    }
}
