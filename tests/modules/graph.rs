//! Graph: which module imports from which. Each path is followed to the module that defines its
//! last segment.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Crate, Module, Segments};

/// Which module of a crate imports what.
pub struct Graph {
    top: BTreeSet<String>,
    edges: BTreeSet<Edge>,
}

/// A module's import of a path from another module.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: Segments,
    /// The module that defines what is imported.
    to: Segments,
    /// The path from the root of the crate, followed through every `pub use`.
    path: Segments,
}

impl Edge {
    fn text(&self) -> String {
        format!("{}: crate::{}", self.from.join("::"), self.path.join("::"))
    }
}

impl Graph {
    /// The graph of a crate.
    pub fn of(source: &Crate) -> Self {
        let mut edges = BTreeSet::new();
        for (from, module) in &source.0 {
            let imports = module.imports.iter().map(|import| &import.path);
            for path in imports.chain(&module.paths) {
                let Some(path) = absolute(source, from, path) else { continue };
                let (to, path) = follow(source, &path);
                if to != *from {
                    edges.insert(Edge { from: from.clone(), to, path });
                }
            }
        }
        let top = source.0.keys().filter_map(|path| path.first().cloned()).collect();
        Self { top, edges }
    }

    /// The names of the top-level modules, sorted.
    pub fn top(&self) -> Vec<String> {
        self.top.iter().cloned().collect()
    }

    /// Imports from a top-level module that is above the importing one in `layers`.
    pub fn upward(&self, layers: &[String]) -> Vec<String> {
        let layer = |path: &Segments| layers.iter().position(|it| Some(it) == path.first());
        let up = self.edges.iter().filter(|edge| match (layer(&edge.from), layer(&edge.to)) {
            (Some(from), Some(to)) => to < from,
            _ => false,
        });
        up.map(Edge::text).collect()
    }

    /// One circle for each set of children of one parent that import each other, with an import for
    /// each step.
    pub fn circles(&self) -> Vec<String> {
        let mut siblings: BTreeMap<&[String], Siblings<'_>> = BTreeMap::new();
        for edge in &self.edges {
            let common = edge.from.iter().zip(&edge.to).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (edge.from.get(common), edge.to.get(common)) {
                let parent = siblings.entry(&edge.from[..common]).or_default();
                parent.entry(from).or_default().entry(to).or_insert(edge);
            }
        }
        let circle = |(parent, siblings): (&[String], Siblings<'_>)| {
            let circle = siblings.keys().find_map(|name| circle(&siblings, name))?;
            let names: Vec<&str> = circle.iter().map(|(name, _)| *name).collect();
            let imports: Vec<String> = circle.iter().map(|(_, edge)| edge.text()).collect();
            let parent = if parent.is_empty() { "crate".to_owned() } else { parent.join("::") };
            let imports = imports.join("; ");
            Some(format!("{parent}: {} -> {} ({imports})", names.join(" -> "), names[0]))
        };
        siblings.into_iter().filter_map(circle).collect()
    }
}

/// The children of one parent: which imports from which, with one import as evidence.
type Siblings<'e> = BTreeMap<&'e str, BTreeMap<&'e str, &'e Edge>>;

/// The shortest way from a child back to itself.
fn circle<'e>(siblings: &Siblings<'e>, start: &'e str) -> Option<Vec<(&'e str, &'e Edge)>> {
    let mut ways = vec![vec![]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last: &str = way.last().map_or(start, |(_, edge): &(&str, &Edge)| {
                let common = edge.from.iter().zip(&edge.to).take_while(|(a, b)| a == b).count();
                &edge.to[common]
            });
            if last == start && !way.is_empty() {
                return Some(way);
            }
            for (to, edge) in siblings.get(last).into_iter().flatten() {
                if seen.insert(*to) {
                    let mut next = way.clone();
                    next.push((last, *edge));
                    longer.push(next);
                }
            }
        }
        ways = longer;
    }
    None
}

/// A path from the root of the crate; `None` if it leads to another crate, or to a type.
fn absolute(source: &Crate, from: &Segments, path: &[String]) -> Option<Segments> {
    let (first, rest) = path.split_first()?;
    let base = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => {
            let mut base = from.clone();
            base.pop()?;
            let ups = rest.iter().take_while(|segment| *segment == "super").count();
            base.truncate(base.len().checked_sub(ups)?);
            return Some([&base, &rest[ups..]].concat());
        }
        name => {
            let child = [from.as_slice(), &[name.to_owned()]].concat();
            if source.0.contains_key(&child) {
                child
            } else {
                let import = imports(source, from).iter().find(|import| import.name == name)?;
                // An import of this name by itself would be followed indefinitely.
                absolute(source, from, &import.path).filter(|_| import.path[0] != *name)?
            }
        }
    };
    Some([&base, rest].concat())
}

/// The module in which a path ends, and the path of what it names there.
fn follow(source: &Crate, path: &[String]) -> (Segments, Segments) {
    let modules = (0..=path.len()).rev().map(|length| &path[..length]);
    let module = modules.into_iter().find(|it| source.0.contains_key(*it)).unwrap_or_default();
    let rest = &path[module.len()..];
    if let Some((name, rest)) = rest.split_first() {
        let handed_on = imports(source, module).iter().find(|it| it.is_public && it.name == *name);
        let target = handed_on.and_then(|import| absolute(source, &module.to_vec(), &import.path));
        if let Some(target) = target {
            return follow(source, &[&target, rest].concat());
        }
    }
    let end = path.len().min(module.len() + 1);
    (module.to_vec(), path[..end].to_vec())
}

fn imports<'c>(source: &'c Crate, module: &[String]) -> &'c [super::source::Import] {
    source.0.get(module).map_or(&[], |module: &Module| &module.imports)
}
