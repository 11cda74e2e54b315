//! Answers of something else than an API server.

use super::{
    folder::{Folder, to},
    servers::{http, saying},
};

const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>Welcome to\n the hotel</title></head><body>";
const HTML: &str = "content-type: text/html; charset=utf-8\r\n";

#[test]
fn a_page_in_place_of_an_answer() {
    let folder = Folder::new();
    for status in
        ["200 OK", "401 Unauthorized", "403 Forbidden", "404 Not Found", "502 Bad Gateway"]
    {
        let server = saying(http(status, HTML, PAGE));
        let done = folder.plan(&to(&format!("http://{}", server.address)), &[]);
        done.failed(&["a web page titled `Welcome to the hotel` and not the Kubernetes API"]);
        done.says(&[&server.address.to_string()]);
        assert!(!done.err.contains("<html"), "{}", done.err);
    }
}

#[test]
fn an_answer_that_leads_to_a_login() {
    let folder = Folder::new();
    let location = "location: https://login.example.com/start?token=secret\r\n";
    let server = saying(http("302 Found", location, ""));
    let done = folder.plan(&to(&format!("http://{}", server.address)), &[]);
    done.failed(&["leads to https://login.example.com/start", "a login"]);
    assert!(!done.err.contains("secret"), "{}", done.err);
}
