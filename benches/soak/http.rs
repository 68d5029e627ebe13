//! A client's connection: plain HTTP/1.1, one request at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer takes. If one does not come, the soak fails.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

pub struct Connection {
    stream: BufReader<TcpStream>,
    token: String,
    host: String,
}

pub struct Response {
    pub status: u16,
    pub session: Option<String>,
    pub body: String,
}

impl Response {
    /// The message: the body, or the last event with data of a stream.
    pub fn message(&self) -> Option<Value> {
        let events = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
        let last = events.rev().find(|data| !data.trim().is_empty());
        serde_json::from_str(last.unwrap_or(&self.body)).ok()
    }
}

impl Connection {
    pub fn open(address: &str, token: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        Ok(Self { stream: BufReader::new(stream), token: token.to_owned(), host: address.to_owned() })
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<()> {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n",
            self.host,
            self.token,
            body.len()
        );
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("\r\n");
        head.push_str(body);
        self.stream.get_mut().write_all(head.as_bytes())
    }

    pub fn receive(&mut self) -> io::Result<Response> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status line"))?;
        let (mut length, mut is_chunked, mut session) = (0, false, None);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            match name {
                "content-length" => length = value.parse().map_err(io::Error::other)?,
                "transfer-encoding" => is_chunked = value == "chunked",
                "mcp-session-id" => session = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = Vec::new();
        if is_chunked {
            while self.chunk(&mut body)? {}
        } else {
            self.part(length, &mut body)?;
        }
        Ok(Response { status, session, body: String::from_utf8(body).map_err(io::Error::other)? })
    }

    fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let length = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
        self.part(length, body)?;
        self.line()?;
        Ok(length > 0)
    }

    fn part(&mut self, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
        let from = body.len();
        body.resize(from + length, 0);
        self.stream.read_exact(&mut body[from..])
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
