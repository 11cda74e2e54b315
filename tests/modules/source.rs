//! Source: which modules a crate has, and which paths each contains. Items that are only for tests
//! are left out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, File, Item, ItemMod, ItemUse, Macro, UseTree, Visibility,
    visit::{self, Visit},
};

/// Segments of a path.
pub type Segments = Vec<String>;

/// The modules of a crate, by their paths; the root has the empty one.
pub struct Crate(pub BTreeMap<Segments, Module>);

/// What a module contains.
#[derive(Default)]
pub struct Module {
    /// What it imports, each under its local name; `*` for a glob.
    pub imports: Vec<Import>,
    /// All other paths of two segments and more.
    pub paths: Vec<Segments>,
}

/// A leaf of a `use`.
pub struct Import {
    /// The path, as it is written.
    pub path: Segments,
    /// The name that it gets here.
    pub name: String,
    /// Whether other modules may import it from here.
    pub is_public: bool,
}

impl Crate {
    /// Reads the crate with this root file by `read`, which returns `None` for a file that does not
    /// exist.
    pub fn read(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let text = read(root).unwrap_or_else(|| panic!("{} is missing", root.display()));
        let mut modules = BTreeMap::new();
        let directory = root.parent().unwrap().to_owned();
        Reader { read, modules: &mut modules, path: Vec::new(), directory }
            .file(&parse(root, &text));
        Self(modules)
    }
}

fn parse(path: &Path, text: &str) -> File {
    syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads one module and those below it.
struct Reader<'r> {
    read: &'r dyn Fn(&Path) -> Option<String>,
    modules: &'r mut BTreeMap<Segments, Module>,
    path: Segments,
    /// Where the files of its children are.
    directory: PathBuf,
}

impl Reader<'_> {
    fn file(&mut self, file: &File) {
        self.items(&file.items);
    }

    fn items(&mut self, items: &[Item]) {
        self.modules.entry(self.path.clone()).or_default();
        for item in items {
            self.visit_item(item);
        }
    }

    fn module(&mut self) -> &mut Module {
        self.modules.entry(self.path.clone()).or_default()
    }

    fn imports(&mut self, tree: &UseTree, prefix: &[String], is_public: bool) {
        let with = |segment: String| [prefix, &[segment]].concat();
        let (path, name) = match tree {
            UseTree::Path(path) => {
                return self.imports(&path.tree, &with(path.ident.to_string()), is_public);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|it| self.imports(it, prefix, is_public));
            }
            UseTree::Name(name) if name.ident == "self" => {
                (prefix.to_vec(), prefix.last().unwrap().clone())
            }
            UseTree::Name(name) => (with(name.ident.to_string()), name.ident.to_string()),
            UseTree::Rename(rename) if rename.ident == "self" => {
                (prefix.to_vec(), rename.rename.to_string())
            }
            UseTree::Rename(rename) => (with(rename.ident.to_string()), rename.rename.to_string()),
            UseTree::Glob(_) => (prefix.to_vec(), "*".to_owned()),
        };
        self.module().imports.push(Import { path, name, is_public });
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is = |word: &str| attribute.parse_args::<syn::Ident>().is_ok_and(|it| it == word);
        attribute.path().is_ident("test") || attribute.path().is_ident("cfg") && is("test")
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(it) => &it.attrs,
            Item::Fn(it) => &it.attrs,
            Item::Impl(it) => &it.attrs,
            Item::Use(it) => &it.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        let directory = self.directory.join(&name);
        let path = [self.path.clone(), vec![name]].concat();
        let mut reader =
            Reader { read: self.read, modules: self.modules, path, directory: directory.clone() };
        if let Some((_, items)) = &item.content {
            return reader.items(items);
        }
        let files = [directory.with_extension("rs"), directory.join("mod.rs")];
        let found = files.iter().find_map(|file| Some((file, (reader.read)(file)?)));
        let (file, text) = found.unwrap_or_else(|| panic!("{} is missing", files[0].display()));
        reader.file(&parse(file, &text));
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.imports(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Segments = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if segments.len() > 1 && path.leading_colon.is_none() {
            self.module().paths.push(segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, it: &'ast Macro) {
        let mut paths = Vec::new();
        in_tokens(it.tokens.clone(), &mut paths);
        self.module().paths.extend(paths);
        visit::visit_macro(self, it);
    }
}

/// The paths in the tokens of a macro's call, which may mean anything.
fn in_tokens(tokens: TokenStream, paths: &mut Vec<Segments>) {
    let mut path: Segments = Vec::new();
    let mut colons = 0;
    let mut end = |path: &mut Segments| {
        if path.len() > 1 {
            paths.push(std::mem::take(path));
        }
        path.clear();
    };
    let mut groups = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut path);
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
            other => {
                end(&mut path);
                colons = 0;
                if let TokenTree::Group(group) = other {
                    groups.push(group.stream());
                }
            }
        }
    }
    end(&mut path);
    for group in groups {
        in_tokens(group, paths);
    }
}
