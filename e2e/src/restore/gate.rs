//! A TCP proxy in front of the API server, which can be closed.

use std::{io, net::Ipv4Addr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Forwards connections while it is open. Dropping it ends them all.
#[derive(Debug)]
pub struct Gate {
    url: String,
    open: watch::Sender<bool>,
    _connections: JoinSet<()>,
}

impl Gate {
    /// An open gate in front of the server at `url`, which must name an IPv4 address and a port.
    pub async fn before(url: &str) -> io::Result<Self> {
        let (_, target) = url.split_once("://").unwrap_or_default();
        let target = target.to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("https://{}", listener.local_addr()?);
        let (open, is_open) = watch::channel(true);
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut forwarded = JoinSet::new();
            while let Ok((from, _)) = listener.accept().await {
                // A connection that comes while the gate is closed is dropped, which ends it.
                if *is_open.borrow() {
                    forwarded.spawn(forward(from, target.clone(), is_open.clone()));
                }
                while forwarded.try_join_next().is_some() {}
            }
        });
        Ok(Self { url, open, _connections: connections })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends all connections, and each new one.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Forwards connections again.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn forward(mut from: TcpStream, target: String, mut is_open: watch::Receiver<bool>) {
    let Ok(mut to) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut from, &mut to) => {}
        _ = is_open.wait_for(|open| !open) => {}
    }
}
