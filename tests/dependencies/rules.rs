//! The rules of `deny.toml`, as far as they need neither network nor cargo-deny.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};

/// `deny.toml`.
#[derive(Deserialize)]
pub struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Entry>,
    skip: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "crate")]
    spec: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// A package that is built.
#[derive(Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The licence expression, if it has one.
    pub license: Option<String>,
    /// Where it comes from; `None` for a member of the workspace.
    pub source: Option<String>,
}

impl Package {
    /// A package of `cargo metadata`.
    pub fn of(package: &Value) -> Self {
        let text = |field: &str| package[field].as_str().map(str::to_owned);
        Self {
            name: text("name").unwrap(),
            version: text("version").unwrap(),
            license: text("license"),
            source: text("source"),
        }
    }
}

impl Rules {
    /// Reads `deny.toml`.
    pub fn parse(text: &str) -> Self {
        toml::from_str(text).unwrap_or_else(|error| panic!("deny.toml: {error}"))
    }

    /// The rules that the packages break, one line each, with what to do.
    pub fn broken_by(&self, packages: &[Package]) -> Vec<String> {
        let mut broken: Vec<String> =
            packages.iter().flat_map(|it| self.broken_alone(it)).collect();
        broken.extend(self.duplicates(packages));
        broken
    }

    fn broken_alone(&self, package: &Package) -> Vec<String> {
        let Package { name, version, license, source } = package;
        let mut broken = Vec::new();
        if !self.is_allowed(license.as_deref().unwrap_or_default()) {
            broken.push(format!(
                "{name} {version}: the licence {license:?} is not allowed; replace the crate, or allow \
                 the licence in deny.toml"
            ));
        }
        if let Some(ban) = self.bans.deny.iter().find(|ban| ban.spec == *name) {
            broken.push(format!(
                "{name} {version}: banned ({}); `cargo tree -i {name}` shows what brings it",
                ban.reason
            ));
        }
        let registries = &self.sources.allow_registry;
        let is_known = |source: &String| {
            source
                .strip_prefix("registry+")
                .is_some_and(|url| registries.iter().any(|it| it == url))
        };
        if let Some(source) = source.as_ref().filter(|source| !is_known(source)) {
            broken.push(format!("{name} {version}: comes from {source}, not from crates.io"));
        }
        broken
    }

    fn is_allowed(&self, license: &str) -> bool {
        // `/` is the old way to write OR.
        let Ok(expression) = Expression::parse_mode(license, ParseMode::LAX) else { return false };
        let allowed = self.licenses.allow.iter().map(|it| Licensee::parse(it).unwrap());
        let allowed: Vec<Licensee> = allowed.collect();
        expression.evaluate(|required| allowed.iter().any(|licensee| licensee.satisfies(required)))
    }

    /// Crates of which several versions are built, and skips that are no longer needed.
    fn duplicates(&self, packages: &[Package]) -> Vec<String> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in packages {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        let is_of = |spec: &str, name: &str, version: &str| {
            let (of, from) = spec.split_once('@').unwrap_or((spec, ""));
            let rest = version.strip_prefix(from);
            of == name && rest.is_some_and(|rest| from.is_empty() || rest.starts_with('.'))
        };
        let is_skipped = |name: &str, version: &str| {
            self.bans.skip.iter().any(|skip| is_of(&skip.spec, name, version))
        };
        let mut broken = Vec::new();
        for (name, all) in &versions {
            let mut left: Vec<&str> =
                all.iter().copied().filter(|version| !is_skipped(name, version)).collect();
            left.sort_unstable();
            if left.len() > 1 {
                broken.push(format!(
                    "{name}: versions {} are built; update what brings the older one (`cargo tree -i \
                     {name}@{}`), or skip it in deny.toml with a reason",
                    left.join(" and "),
                    left[0]
                ));
            }
        }
        for skip in &self.bans.skip {
            let is_needed = versions.iter().any(|(name, all)| {
                all.len() > 1 && all.iter().any(|version| is_of(&skip.spec, name, version))
            });
            if !is_needed {
                broken.push(format!(
                    "{}: skipped in deny.toml without need; remove the entry ({})",
                    skip.spec, skip.reason
                ));
            }
        }
        broken
    }
}
