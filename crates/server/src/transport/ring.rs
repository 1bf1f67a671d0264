//! Many sends in one system call: io_uring, where the system has it (Linux 5.6 and later, and not
//! forbidden, as in many containers). Without it every socket is written to by itself.
//!
//! A fan-out to a thousand sockets is a thousand `send()`s, and entering the kernel is a good part
//! of each. The sends here never wait (`MSG_DONTWAIT`), so all of them are over when the one call
//! returns, and nothing is left with the kernel.

#![allow(unsafe_code, reason = "the submission queue takes pointers; see `Ring::send`")]

use std::io;
use std::os::fd::RawFd;

use bytes::Bytes;
use io_uring::{IoUring, Probe, opcode, types};

/// Sends in one call. More would only be cut into pieces by the kernel's own limits.
const ENTRIES: u32 = 256;

/// A shard's own ring.
pub(crate) struct Ring(IoUring);

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ring")
    }
}

impl Ring {
    /// A ring, if the system has them and lets this process have one.
    pub(crate) fn new() -> Option<Self> {
        let ring = IoUring::new(ENTRIES).ok()?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe).ok()?;
        probe.is_supported(opcode::Send::CODE).then_some(Self(ring))
    }

    /// Sends each frame to its socket and reports what became of it: its place in `frames`, and how
    /// many bytes were taken. A socket that would block is an error of that kind.
    ///
    /// # Errors
    /// The ring failed and must not be used again. Of frames that were not reported it is not known
    /// how much was sent.
    pub(crate) fn send(
        &mut self,
        frames: &[(RawFd, Bytes)],
        mut done: impl FnMut(usize, io::Result<usize>),
    ) -> io::Result<()> {
        for (round, chunk) in frames.chunks(ENTRIES as usize).enumerate() {
            let first = round * ENTRIES as usize;
            self.submit(chunk, first)?;
            let mut left = chunk.len();
            while left > 0 {
                match self.0.submit_and_wait(left) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
                for completion in self.0.completion() {
                    let place = usize::try_from(completion.user_data()).unwrap_or(usize::MAX);
                    let outcome = usize::try_from(completion.result());
                    let error = || io::Error::from_raw_os_error(-completion.result());
                    done(place, outcome.map_err(|_| error()));
                    left -= 1;
                }
            }
        }
        Ok(())
    }

    fn submit(&mut self, chunk: &[(RawFd, Bytes)], first: usize) -> io::Result<()> {
        let mut queue = self.0.submission();
        for (place, (fd, frame)) in (first..).zip(chunk) {
            let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            let send = opcode::Send::new(types::Fd(*fd), frame.as_ptr(), len)
                .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
                .build()
                .user_data(place as u64);
            // SAFETY: `frame` is borrowed by `send`, which does not return before the kernel has
            // reported each entry, or else returns an error, upon which its caller drops the ring.
            unsafe { queue.push(&send) }.map_err(io::Error::other)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn a_frame_reaches_each_of_many_sockets() {
        let Some(mut ring) = Ring::new() else { return };
        let pairs: Vec<_> = (0..300).map(|_| pair()).collect();
        let frame = Bytes::from_static(b"hello");
        let frames: Vec<_> =
            pairs.iter().map(|(near, _)| (near.as_raw_fd(), frame.clone())).collect();
        let mut sent = vec![0; frames.len()];
        ring.send(&frames, |place, outcome| sent[place] = outcome.unwrap()).unwrap();
        assert!(sent.iter().all(|count| *count == 5));
        for (_, mut far) in pairs {
            let mut got = [0; 5];
            far.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"hello");
        }
    }

    #[test]
    fn a_full_socket_takes_what_it_can_and_then_would_block_and_a_closed_one_is_an_error() {
        let Some(mut ring) = Ring::new() else { return };
        let (near, far) = pair();
        let big = Bytes::from(vec![7; 64 << 20]);
        let mut outcomes = Vec::new();
        for _ in 0..50 {
            let frames = [(near.as_raw_fd(), big.clone())];
            ring.send(&frames, |_, outcome| outcomes.push(outcome)).unwrap();
        }
        assert!(matches!(&outcomes[0], Ok(count) if *count < big.len()));
        let last = outcomes.last().unwrap().as_ref().unwrap_err();
        assert_eq!(last.kind(), io::ErrorKind::WouldBlock);
        drop(far);
        let (dead, gone) = pair();
        drop(gone);
        let mut failed = false;
        for _ in 0..50 {
            let frames = [(dead.as_raw_fd(), Bytes::from_static(b"x"))];
            ring.send(&frames, |_, outcome| failed |= outcome.is_err()).unwrap();
        }
        assert!(failed);
    }
}
