//! One connection of a client, spoken to as HTTP/1.1 is written: it can also say what no client library would.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::PATIENCE;

/// Either a TCP stream or what runs over one.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub struct Peer {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
    token: Option<String>,
    host: String,
}

/// A response. Its body is whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// What a refusal says: the message of a JSON-RPC error.
    pub fn why(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let refusal = self.message();
        assert_eq!(refusal["jsonrpc"], "2.0", "{self:?}");
        refusal["error"]["message"].as_str().unwrap().to_owned()
    }

    /// The message in it: the body, or the last event of a stream that has one.
    pub fn message(&self) -> Value {
        let text = match self.header("content-type") {
            Some("text/event-stream") => {
                let mut data = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
                data.rfind(|data| !data.trim().is_empty()).unwrap_or_default()
            }
            _ => &self.body,
        };
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Peer {
    pub async fn connect(address: &str) -> Self {
        Self::over(Box::new(TcpStream::connect(address).await.unwrap()), address)
    }

    pub fn over(stream: Box<dyn Stream>, host: &str) -> Self {
        Self { stream, read: Vec::new(), token: None, host: host.to_owned() }
    }

    /// The same, with that token in each request.
    pub fn bearing(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Send a request and do not wait.
    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: {}\r\n", self.host));
        }
        if let Some(token) = &self.token {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("\r\n");
        self.stream.write_all(head.as_bytes()).await.unwrap();
        // A request that is refused by its head may have its connection closed before its body is there.
        let _ = self.stream.write_all(body).await;
    }

    /// Send a message of the protocol and do not wait.
    pub async fn say(&mut self, (headers, message): (Vec<(&'static str, String)>, Value)) {
        let mut all = vec![("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
        all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
        self.send("POST", "/mcp", &all, message.to_string().as_bytes()).await;
    }

    /// A message and its answer.
    pub async fn ask(&mut self, message: (Vec<(&'static str, String)>, Value)) -> Answer {
        self.say(message).await;
        self.answer().await
    }

    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, b"").await;
        self.answer().await
    }

    /// The next response, to its end.
    pub async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let (status, length, is_chunked) = parts(&head);
        let mut body = Vec::new();
        if is_chunked {
            while let Some(chunk) = self.chunk().await {
                body.extend(chunk);
            }
        } else {
            while self.read.len() < length {
                self.more().await;
            }
            body.extend(self.read.drain(..length));
        }
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }

    /// The head of the next response, whose body goes on.
    pub async fn head(&mut self) -> String {
        loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.read.drain(..at + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            self.more().await;
        }
    }

    /// The next message of a stream.
    pub async fn event(&mut self) -> Value {
        loop {
            let chunk = self.chunk().await.expect("the stream has ended");
            let text = String::from_utf8(chunk).unwrap();
            let data = text.lines().filter_map(|line| line.strip_prefix("data:")).find(|data| !data.trim().is_empty());
            if let Some(data) = data {
                return serde_json::from_str(data).unwrap();
            }
        }
    }

    /// Wait until a stream says that it is there: nothing else has come on it for 15 s.
    pub async fn keep_alive(&mut self) {
        while !self.chunk().await.expect("the stream has ended").starts_with(b":") {}
    }

    /// The next chunk of a body; none at its end.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            match self.read.windows(2).position(|window| window == b"\r\n") {
                Some(at) => break at,
                None => self.more().await,
            }
        };
        let length = usize::from_str_radix(std::str::from_utf8(&self.read[..end]).unwrap().trim(), 16).unwrap();
        while self.read.len() < end + 2 + length + 2 {
            self.more().await;
        }
        let chunk = self.read[end + 2..end + 2 + length].to_vec();
        self.read.drain(..end + 2 + length + 2);
        (length > 0).then_some(chunk)
    }

    /// Wait until the server has closed the connection.
    pub async fn closed(self) {
        self.rest().await;
    }

    /// What still comes until the server has closed the connection.
    pub async fn rest(mut self) -> String {
        let reading = self.stream.read_to_end(&mut self.read);
        let _ = tokio::time::timeout(PATIENCE, reading).await.expect("it stays open");
        String::from_utf8_lossy(&self.read).into_owned()
    }

    async fn more(&mut self) {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await.expect("no answer came");
        assert_ne!(read.unwrap(), 0, "the connection has ended: {}", String::from_utf8_lossy(&self.read));
    }
}

fn parts(head: &str) -> (u16, usize, bool) {
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    (status, length, header("transfer-encoding").is_some_and(|coding| coding == "chunked"))
}
