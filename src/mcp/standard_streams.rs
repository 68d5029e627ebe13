//! stdin and stdout as streams of the runtime. `tokio::io::stdin` uses threads that block, which cost each call two switches
//! between threads.
//!
//! Most hosts use pipes, and Node uses sockets. A terminal or a file is read by such a thread all the same.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{UnixStream, unix::pipe};

/// The input from the client.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;

/// The output to the client.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// Ready when the client has closed its end of stdout. Never ready if that cannot be noticed.
pub type OutputClosed = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// This process's stdin.
///
/// # Errors
/// It cannot be used as a stream of the runtime.
pub fn input() -> io::Result<Input> {
    Ok(match Kind::of(io::stdin().as_fd().try_clone_to_owned()?)? {
        Kind::Pipe(fd) => Box::new(pipe::Receiver::from_owned_fd(fd)?),
        Kind::Socket(fd) => Box::new(socket(fd)?),
        Kind::Other => Box::new(tokio::io::stdin()),
    })
}

/// This process's stdout.
///
/// # Errors
/// It cannot be used as a stream of the runtime.
pub fn output() -> io::Result<(Output, OutputClosed)> {
    let duplicate = io::stdout().as_fd().try_clone_to_owned()?;
    let watched = duplicate.try_clone()?;
    Ok(match Kind::of(duplicate)? {
        Kind::Pipe(fd) => {
            let watched = pipe::Sender::from_owned_fd(watched)?;
            let closed = async move {
                // The only event to wait for is an error: a pipe whose reader has gone.
                let _ = watched.ready(Interest::ERROR).await;
            };
            widen(&fd);
            (Box::new(pipe::Sender::from_owned_fd(fd)?), Box::pin(closed))
        }
        Kind::Socket(fd) => (Box::new(socket(fd)?), Box::pin(std::future::pending())),
        Kind::Other => (Box::new(tokio::io::stdout()), Box::pin(std::future::pending())),
    })
}

/// The capacity of the pipe of stdout, in bytes. The default is 64 KiB, and a large answer has to wait for the client after
/// each of them. A process without privileges may ask for this much (proc(5), pipe-max-size).
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// Enlarge a pipe. If that is not allowed, it stays as it is.
fn widen(_pipe: &OwnedFd) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(_pipe, PIPE_BYTES);
}

enum Kind {
    Pipe(OwnedFd),
    Socket(OwnedFd),
    Other,
}

impl Kind {
    fn of(fd: OwnedFd) -> io::Result<Self> {
        let file = File::from(fd);
        let kind = file.metadata()?.file_type();
        Ok(if kind.is_fifo() {
            Self::Pipe(file.into())
        } else if kind.is_socket() {
            Self::Socket(file.into())
        } else {
            Self::Other
        })
    }
}

fn socket(fd: OwnedFd) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(fd);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
