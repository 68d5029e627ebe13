//! stdin and stdout as the runtime's own streams, without the blocking threads that `tokio::io::stdin` goes through:
//! those cost a call two hand-overs between threads.
//!
//! A host gives pipes (most) or sockets (Node); a terminal or a file is read by the threads after all.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{UnixStream, unix::pipe};

/// What a client's lines are read from.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;

/// What a client's answers are written to.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// Ends when the client has closed its end of stdout; never, where that cannot be seen.
pub type OutputClosed = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// This process's stdin.
///
/// # Errors
/// It cannot be had as a stream of the runtime.
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
/// It cannot be had as a stream of the runtime.
pub fn output() -> io::Result<(Output, OutputClosed)> {
    let duplicate = io::stdout().as_fd().try_clone_to_owned()?;
    let watched = duplicate.try_clone()?;
    Ok(match Kind::of(duplicate)? {
        Kind::Pipe(fd) => {
            let watched = pipe::Sender::from_owned_fd(watched)?;
            let closed = async move {
                // An error is all that is waited for: a pipe whose reader is gone.
                let _ = watched.ready(Interest::ERROR).await;
            };
            widen(&fd);
            (Box::new(pipe::Sender::from_owned_fd(fd)?), Box::pin(closed))
        }
        Kind::Socket(fd) => (Box::new(socket(fd)?), Box::pin(std::future::pending())),
        Kind::Other => (Box::new(tokio::io::stdout()), Box::pin(std::future::pending())),
    })
}

/// How much stdout's pipe is to hold, in bytes: 64 KiB by default, for each of which a large answer has to wait until the
/// client has come to read it. An unprivileged process may ask for so much (proc(5), pipe-max-size).
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// Have a pipe hold more. Where it may not, it stays as it is.
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
