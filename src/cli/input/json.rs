//! JSON: documents as trees. A number keeps its text, which no other reader offers without a change
//! to how all of closehaul reads JSON. A key may not occur twice in an object: which of the two
//! counts differs from reader to reader, and the API server refuses it.

use serde_json::Number as Checked;

use super::{
    tree::{Amount, Fields, Number, Tree, is_unread, unread},
    yaml::{DEPTH, Fault},
};

/// The lines around the logs that `kubectl cluster-info dump` prints between its lists.
const LOGS: [&str; 2] = ["==== START logs for container", "==== END logs for container"];
/// White space in JSON.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Any number of documents, one after the other. Empty ones are not counted.
pub(super) fn documents(text: &str) -> Result<Vec<Tree>, Fault> {
    let mut reader = Reader { text, at: 0, open: 0 };
    let mut documents = Vec::new();
    loop {
        reader.pass_between();
        if reader.peek().is_none() {
            return Ok(documents);
        }
        match reader.value("") {
            Ok(document) => documents.extend(Some(document).filter(|it| !it.is_null())),
            Err(problem) => {
                let problem = reader.located(&problem);
                return Err(Fault { document: documents.len() + 1, problem });
            }
        }
    }
}

/// A text, how far it is read, and how many values are open.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    open: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.rest();
        let next = rest.trim_start_matches(SPACE);
        self.at += rest.len() - next.len();
        next.bytes().next()
    }

    /// Goes beyond the next byte if it is this one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes over what stands between documents: logs, and separators as in YAML.
    fn pass_between(&mut self) {
        let [start, end] = LOGS;
        loop {
            self.peek();
            let rest = self.rest();
            let line_end = |text: &str| text.find('\n').map_or(text.len(), |at| at + 1);
            self.at += if rest.starts_with(start) {
                let last = rest.find(end).unwrap_or(rest.len());
                last + line_end(&rest[last..])
            } else if rest.lines().next().is_some_and(|line| line.trim_end() == "---") {
                line_end(rest)
            } else {
                return;
            };
        }
    }

    /// The next value; `key` is that of the field that it is in, perhaps within a list.
    fn value(&mut self, key: &str) -> Result<Tree, String> {
        match self.peek() {
            Some(b'{') => self.nested(|reader| reader.object(key)),
            Some(b'[') => self.nested(|reader| reader.list(key)),
            Some(b'"') => self.string().map(Tree::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
            None => Err("the text ends before the value does".to_owned()),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Tree, String>,
    ) -> Result<Tree, String> {
        if self.open >= DEPTH {
            return Err(format!("values nest deeper than {DEPTH}"));
        }
        self.at += 1;
        self.open += 1;
        let tree = read(self)?;
        self.open -= 1;
        Ok(tree)
    }

    fn list(&mut self, within: &str) -> Result<Tree, String> {
        let mut entries = Vec::new();
        if self.take(b']') {
            return Ok(Tree::List(entries));
        }
        loop {
            entries.push(self.value(within)?);
            if self.take(b']') {
                return Ok(Tree::List(entries));
            }
            if !self.take(b',') {
                return Err("expected `,` or `]`".to_owned());
            }
        }
    }

    fn object(&mut self, within: &str) -> Result<Tree, String> {
        let mut fields = Fields::new();
        if self.take(b'}') {
            return Ok(Tree::Object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err("expected a key in double quotes".to_owned());
            }
            let key = self.string()?;
            if fields.contains_key(&key) {
                return Err(format!("duplicate key `{key}`"));
            }
            if !self.take(b':') {
                return Err("expected `:`".to_owned());
            }
            let value = if is_unread(within, &key) {
                self.pass_over()?;
                unread()
            } else {
                self.value(&key)?
            };
            fields.insert(key, value);
            if self.take(b'}') {
                return Ok(Tree::Object(fields));
            }
            if !self.take(b',') {
                return Err("expected `,` or `}`".to_owned());
            }
        }
    }

    /// Goes to the end of a value without building it.
    fn pass_over(&mut self) -> Result<(), String> {
        let mut open = 0_usize;
        loop {
            match self.peek() {
                Some(b'{' | b'[') => {
                    open += 1;
                    self.at += 1;
                }
                Some(b'}' | b']' | b',' | b':') if open > 0 => {
                    open -= usize::from(matches!(self.peek(), Some(b'}' | b']')));
                    self.at += 1;
                }
                Some(b'"') => self.at += self.quoted()?.len(),
                _ => drop(self.value("")?),
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// The next string with its quotes.
    fn quoted(&self) -> Result<&'t str, String> {
        let mut is_escaped = false;
        for (at, byte) in self.rest().bytes().enumerate().skip(1) {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => return Ok(&self.rest()[..=at]),
                _ => {}
            }
        }
        Err("a string does not end".to_owned())
    }

    fn string(&mut self) -> Result<String, String> {
        let quoted = self.quoted()?;
        let string = serde_json::from_str(quoted).map_err(|error| said(&error))?;
        self.at += quoted.len();
        Ok(string)
    }

    fn number(&mut self) -> Result<Tree, String> {
        let rest = self.rest();
        let is_end = |char: char| !matches!(char, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
        let text = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        let number: Checked = serde_json::from_str(text).map_err(|error| said(&error))?;
        let amount = match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(whole), ..) => Amount::Unsigned(whole),
            (_, Some(whole), _) => Amount::Signed(whole),
            (.., float) => Amount::from(float.unwrap_or_default()),
        };
        self.at += text.len();
        Ok(Tree::Number(Number { amount, text: text.into() }))
    }

    fn word(&mut self) -> Result<Tree, String> {
        let words =
            [("null", Tree::Null), ("true", Tree::Bool(true)), ("false", Tree::Bool(false))];
        for (word, tree) in words {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(tree);
            }
        }
        Err("expected a value".to_owned())
    }

    /// A problem with its place.
    fn located(&self, problem: &str) -> String {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{problem} at line {line} column {column}")
    }
}

/// What is wrong with a string or a number, without the place in it.
fn said(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Tree {
        let mut documents = documents(text).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0)
    }

    #[test]
    fn numbers_keep_their_text() {
        for (text, amount) in [
            ("1.10", Amount::Float(1.1)),
            ("80.0", Amount::Unsigned(80)),
            ("1e3", Amount::Unsigned(1000)),
            ("-5", Amount::Signed(-5)),
            ("18446744073709551615", Amount::Unsigned(u64::MAX)),
        ] {
            assert_eq!(one(text), Tree::Number(Number { amount, text: text.into() }));
        }
        assert_eq!(one(r#""a\u00e9\ud83e\udd80\n""#), Tree::from("aé🦀\n"));
    }

    #[test]
    fn only_what_is_not_read_is_skipped() {
        let text = r#"{"metadata": {"managedFields": [{"a": ["}", 1, null, {}]}, 2], "labels": {"managedFields": "x"}}}"#;
        let metadata = &one(text)["metadata"];
        assert_eq!(metadata["managedFields"], unread());
        assert_eq!(metadata["labels"]["managedFields"], Tree::from("x"));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "{",
            "[",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a: 1}",
            "01",
            "1.",
            "-",
            "1e999",
            "nul",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\ud83e\"",
            "\"\n\"",
            "]",
            "tru",
            "{\"metadata\": {\"managedFields\": [}",
        ] {
            assert!(documents(text).is_err(), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(documents(&deep).unwrap_err().problem.starts_with("values nest deeper than 128"));
    }

    #[test]
    fn separators_and_logs_stand_between_documents() {
        let text = "---\n{\"a\": 1}\n---\n\n{\"b\": 2}\n==== START logs for container a ====\n{\n==== END logs for container a ====\n";
        assert_eq!(documents(text).unwrap().len(), 2);
        assert_eq!(documents(" \n").unwrap(), []);
        assert_eq!(documents("null").unwrap(), []);
    }
}
