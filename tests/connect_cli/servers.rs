//! Servers on the loopback address, which end with the process: an API server without objects, and
//! proxies.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Barrier, Mutex},
    thread,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a server was asked: the heads of requests.
#[derive(Clone, Default)]
pub struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, head: &str) {
        self.0.lock().unwrap().push(head.to_owned());
    }
}

/// A server that listens.
pub struct Server {
    pub address: SocketAddr,
    pub asked: Asked,
}

/// Starts a server; each connection has a thread.
fn start(serve: impl Fn(TcpStream, &Asked) + Clone + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server { address: listener.local_addr().unwrap(), asked: Asked::default() };
    let asked = server.asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (serve, asked) = (serve.clone(), asked.clone());
            thread::spawn(move || serve(stream.unwrap(), &asked));
        }
    });
    server
}

/// A head of a request or an answer, in lower case; `None` at the end.
fn head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let before = head.len();
        // A client that does not trust the certificate ends the connection here.
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[before..].trim().is_empty() {
            return Some(head.to_lowercase());
        }
    }
}

fn answer(stream: impl Read + Write, asked: &Asked, answer: &str) {
    let mut reader = BufReader::new(stream);
    while let Some(head) = head(&mut reader) {
        asked.add(&head);
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        reader.get_mut().flush().unwrap();
    }
}

/// An answer with this status line, these headers and this body.
pub fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// The answer to a list: there is nothing.
fn nothing() -> String {
    let list = r#"{"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":"1"},"items":[]}"#;
    http("200 OK", "content-type: application/json\r\n", list)
}

/// An API server without TLS.
pub fn api() -> Server {
    saying(nothing())
}

/// A server that always answers the same.
pub fn saying(said: String) -> Server {
    start(move |stream, asked| answer(stream, asked, &said))
}

/// A server that answers the first bytes with `said`, whatever they are, and closes the connection.
pub fn rude(said: &'static str) -> Server {
    start(move |mut stream, _| {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes).unwrap();
        stream.write_all(said.as_bytes()).unwrap();
    })
}

/// An API server with TLS.
pub fn api_with_tls(config: ServerConfig) -> Server {
    let config = Arc::new(config);
    start(move |stream, asked| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        answer(StreamOwned::new(connection, stream), asked, &nothing());
    })
}

/// A proxy that answers CONNECT with `status` and connects to `target`, whatever it is asked for.
pub fn proxy(target: SocketAddr, status: &'static str) -> Server {
    start(move |mut stream, asked| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let Some(head) = head(&mut reader) else { return };
        asked.add(&head);
        write!(stream, "HTTP/1.1 {status}\r\n\r\n").unwrap();
        if status.starts_with("200") {
            join(stream, target);
        }
    })
}

/// A proxy that is reached by TLS and connects to `target`, whatever it is asked for.
pub fn proxy_with_tls(config: ServerConfig, target: SocketAddr) -> Server {
    let config = Arc::new(config);
    start(move |stream, asked| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut reader = BufReader::new(StreamOwned::new(connection, stream));
        let Some(head) = head(&mut reader) else { return };
        asked.add(&head);
        let mut client = reader.into_inner();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        // One thread has to attend to both ends.
        let patience = Some(Duration::from_millis(5));
        client.sock.set_read_timeout(patience).unwrap();
        server.set_read_timeout(patience).unwrap();
        while hand_on(&mut client, &mut server) && hand_on(&mut server, &mut client) {}
    })
}

/// Hands on what is there, if anything. Returns whether more may come.
fn hand_on(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut bytes = [0; 4096];
    match from.read(&mut bytes) {
        Ok(0) => false,
        Ok(read) => to.write_all(&bytes[..read]).is_ok() && to.flush().is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// A SOCKS5 proxy that connects to `target`. It notes `HOST:PORT`, and `USER:PASSWORD@` before it.
pub fn socks(target: SocketAddr) -> Server {
    start(move |mut stream, asked| {
        let mut noted = String::new();
        let [_, methods] = take(&mut stream);
        let mut offered = vec![0; methods.into()];
        stream.read_exact(&mut offered).unwrap();
        if offered.contains(&2) {
            stream.write_all(&[5, 2]).unwrap();
            let [_] = take(&mut stream);
            let (user, password) = (counted(&mut stream), counted(&mut stream));
            noted = format!("{user}:{password}@");
            stream.write_all(&[1, 0]).unwrap();
        } else {
            stream.write_all(&[5, 0]).unwrap();
        }
        let [_, _, _, kind] = take(&mut stream);
        assert_eq!(kind, 3, "the proxy resolves the name");
        let host = counted(&mut stream);
        let port = u16::from_be_bytes(take(&mut stream));
        asked.add(&format!("{noted}{host}:{port}"));
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        join(stream, target);
    })
}

fn take<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn counted(stream: &mut TcpStream) -> String {
    let [length] = take(stream);
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Hands bytes on in both directions until both ends have closed.
fn join(mut client: TcpStream, target: SocketAddr) {
    let mut server = TcpStream::connect(target).unwrap();
    let (mut from, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut client, &mut server);
    let _ = server.shutdown(Shutdown::Both);
}

/// An API server that answers only once so many requests are waiting for it.
pub fn patient(requests: usize) -> Server {
    let waiting = Arc::new(Barrier::new(requests));
    start(move |stream, asked| {
        let mut reader = BufReader::new(stream);
        while let Some(head) = head(&mut reader) {
            asked.add(&head);
            waiting.wait();
            reader.get_mut().write_all(nothing().as_bytes()).unwrap();
        }
    })
}

/// A server that answers the first bytes with `said` and then nothing more.
pub fn stalling(said: &'static str) -> Server {
    start(move |mut stream, _| {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes).unwrap();
        stream.write_all(said.as_bytes()).unwrap();
        thread::sleep(Duration::from_secs(600));
    })
}

/// An API server that compresses its answers for those who accept that.
pub fn compressing() -> Server {
    start(move |stream, asked| {
        let mut reader = BufReader::new(stream);
        while let Some(head) = head(&mut reader) {
            asked.add(&head);
            let answer = nothing();
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
            compressed.write_all(body.as_bytes()).unwrap();
            let body = compressed.finish().unwrap();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            reader.get_mut().write_all(&[answer.as_bytes(), &body].concat()).unwrap();
        }
    })
}
