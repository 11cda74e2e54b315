//! Web page: an answer that is no API server's. A captive portal, a login page or an ingress often
//! stands where the API server was expected, and its page would fill a screen.

/// The most characters of a title that are shown.
const LONGEST: usize = 80;

/// What an answer that is a web page is, in words; `None` if it is none.
pub fn words(body: &str) -> Option<String> {
    let start = body.trim_start_matches(|char: char| char == '\u{feff}' || char.is_whitespace());
    // The case of a page may change no place in it.
    let lower = start.to_ascii_lowercase();
    if !["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| lower.starts_with(tag)) {
        return None;
    }
    let title = title(start, &lower).map(|title| format!(" titled `{title}`")).unwrap_or_default();
    Some(format!("a web page{title} and not the Kubernetes API"))
}

fn title(page: &str, lower: &str) -> Option<String> {
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find('<')?;
    let title = page[start..end].split_whitespace().collect::<Vec<_>>().join(" ");
    let title: String = title.chars().take(LONGEST).collect();
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_recognised() {
        for (body, expected) in [
            (
                "<!DOCTYPE html>\n<html><head><TITLE lang=en>\n Log in\n to Ärger </title>",
                Some("a web page titled `Log in to Ärger` and not the Kubernetes API"),
            ),
            ("\u{feff}\n <html><body>503</body>", Some("a web page and not the Kubernetes API")),
            ("<html><title></title>", Some("a web page and not the Kubernetes API")),
            ("<html><title>open", Some("a web page and not the Kubernetes API")),
            ("services is forbidden", None),
            ("{\"kind\": \"Status\"}", None),
            ("", None),
        ] {
            assert_eq!(words(body).as_deref(), expected, "{body}");
        }
    }
}
