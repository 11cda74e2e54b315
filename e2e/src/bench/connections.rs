//! How many bytes a process has received, as the kernel counts them for each of its connections
//! (`tcp_info`, from `ss` of Debian's iproute2). Nothing is between it and the API server.

use std::{collections::BTreeMap, process::Stdio};

/// Bytes received on each open connection of a process, by its local address. They are TCP bytes,
/// so they include TLS, and are compressed as both ends have agreed.
pub(super) type Connections = BTreeMap<String, u64>;

/// The connections of a process, or `None` if there is no `ss`.
pub(super) async fn of(pid: u32) -> Option<Connections> {
    let output = tokio::process::Command::new("ss")
        .args(["--tcp", "--info", "--numeric", "--processes", "--no-header", "state", "connected"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    output.status.success().then(|| parse(&String::from_utf8_lossy(&output.stdout), pid))
}

/// The bytes received in between. A connection that was closed meanwhile does not count.
pub(super) fn received(before: &Connections, after: &Connections) -> u64 {
    let new = |(name, bytes): (&String, &u64)| {
        bytes.saturating_sub(before.get(name).copied().unwrap_or_default())
    };
    after.iter().map(new).sum()
}

fn parse(text: &str, pid: u32) -> Connections {
    let mut connections = Connections::new();
    let mut ours = None;
    for line in text.lines() {
        // The details of a connection are on a separate line that begins with a tab.
        if line.starts_with(char::is_whitespace) {
            let bytes = line.split_whitespace().find_map(|it| it.strip_prefix("bytes_received:"));
            if let (Some(name), Some(bytes)) = (ours.take(), bytes.and_then(|it| it.parse().ok())) {
                connections.insert(name, bytes);
            }
        } else {
            let owned = line.contains(&format!(",pid={pid},"));
            // State, queues, then the two addresses.
            let local = line.split_whitespace().nth(3).map(str::to_owned);
            ours = local.filter(|_| owned);
        }
    }
    connections
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
ESTAB 0 0 127.0.0.1:5000 127.0.0.1:6443 users:((\"closehaul\",pid=77,fd=9))
\t cubic wscale:7,7 rto:204 bytes_sent:10 bytes_acked:11 bytes_received:4096 segs_out:8
ESTAB 0 0 127.0.0.1:5001 127.0.0.1:6443 users:((\"other\",pid=777,fd=9))
\t cubic bytes_received:9
ESTAB 0 0 127.0.0.1:5002 127.0.0.1:6443 users:((\"closehaul\",pid=77,fd=10))
\t cubic rto:204
";

    #[test]
    fn connections_of_one_process() {
        let connections = parse(TEXT, 77);
        assert_eq!(connections, Connections::from([("127.0.0.1:5000".to_owned(), 4096)]));
    }

    #[test]
    fn only_what_is_new_is_counted() {
        let before = Connections::from([("a".to_owned(), 10), ("gone".to_owned(), 99)]);
        let after = Connections::from([("a".to_owned(), 15), ("new".to_owned(), 7)]);
        assert_eq!(received(&before, &after), 12);
    }

    #[tokio::test]
    async fn our_own_connection_is_counted() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(&[0; 1000]).await.unwrap();
        client.read_exact(&mut [0; 1000]).await.unwrap();
        let Some(connections) = of(std::process::id()).await else { return };
        let local = client.local_addr().unwrap().to_string();
        assert_eq!(connections.get(&local), Some(&1000), "{connections:?}");
    }
}
