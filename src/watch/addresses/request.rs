//! The socket that asks.
//!
//! The requests of `rtnetlink` ask the same, but what they list can be short without a sign: a
//! message that cannot be decoded is left out, the kernel's word that a change came in between
//! (`NLM_F_DUMP_INTR`) goes unread, and when the connection breaks, the list just ends. Addresses
//! that are not listed would look like addresses that have vanished.

use std::future::poll_fn;
use std::io;

use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::packet_core::{
    DecodeError, ErrorBuffer, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST, NLMSG_ALIGNTO, NLMSG_DONE,
    NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN, NetlinkBuffer, NetlinkMessage,
};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, SocketAddr, TokioSocket};

use super::WatchError;

/// A socket for requests to the kernel, one after another.
pub(super) struct Requester {
    socket: TokioSocket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// What to ask for.
pub(super) struct Question {
    /// For people.
    pub(super) what: &'static str,
    /// The `RTM_GET…`.
    pub(super) request: RouteNetlinkMessage,
    /// The type (`RTM_NEW…`) of each message that answers it.
    pub(super) reply: u16,
}

impl Requester {
    /// Opens a socket that is in no multicast group.
    pub(super) fn open() -> Result<Self, WatchError> {
        let socket =
            TokioSocket::new(NETLINK_ROUTE).map_err(|source| WatchError::Socket { action: "open it", source })?;
        Ok(Requester { socket, sequence: 0, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Asks for everything of a sort, whole: again from the start whenever the kernel says that a
    /// change came in between, and never less than up to the kernel's own end mark.
    pub(super) async fn all<T>(&mut self, question: &Question, read: Read<T>) -> Result<Vec<T>, WatchError> {
        loop {
            self.send(question, NLM_F_DUMP).await?;
            let answer = self.receive(question, read).await?;
            if !answer.interrupted {
                return Ok(answer.items);
            }
        }
    }

    /// Asks for one thing.
    pub(super) async fn one<T>(&mut self, question: &Question, read: Read<T>) -> Result<Option<T>, WatchError> {
        self.send(question, 0).await?;
        Ok(self.receive(question, read).await?.items.pop())
    }

    async fn send(&mut self, question: &Question, flags: u16) -> Result<(), WatchError> {
        self.sequence += 1;
        let mut message = NetlinkMessage::from(question.request.clone());
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        poll_fn(|context| self.socket.poll_send_to(context, &bytes, &SocketAddr::new(KERNEL, 0)))
            .await
            .map(|_| ())
            .map_err(|source| WatchError::Socket { action: "send", source })
    }

    /// Reads up to the end of the answer.
    async fn receive<T>(&mut self, question: &Question, read: Read<T>) -> Result<Answer<T>, WatchError> {
        let mut answer = Answer { items: Vec::new(), interrupted: false };
        loop {
            self.buffer.clear();
            let sender = poll_fn(|context| self.socket.poll_recv_from(context, &mut self.buffer))
                .await
                .map_err(|source| WatchError::Socket { action: "receive", source })?;
            if sender.port_number() != KERNEL {
                continue;
            }
            if answer.take(&self.buffer, self.sequence, question, read)? {
                return Ok(answer);
            }
        }
    }
}

/// Reads one message's payload; `None` when it is not of interest.
pub(super) type Read<T> = fn(&[u8]) -> Result<Option<T>, DecodeError>;

struct Answer<T> {
    items: Vec<T>,
    /// The list changed while the kernel was writing it, so it may lack something that never went.
    interrupted: bool,
}

impl<T> Answer<T> {
    /// Takes the messages of one datagram in. Returns whether the answer is complete.
    fn take(
        &mut self,
        mut datagram: &[u8],
        sequence: u32,
        question: &Question,
        read: Read<T>,
    ) -> Result<bool, WatchError> {
        let malformed = |error: DecodeError| WatchError::Malformed { what: question.what, detail: error.to_string() };
        while !datagram.is_empty() {
            let message = NetlinkBuffer::new_checked(datagram).map_err(malformed)?;
            let length = usize::try_from(message.length()).unwrap_or(usize::MAX).next_multiple_of(NLMSG_ALIGNTO.into());
            datagram = datagram.get(length..).unwrap_or_default();
            if message.sequence_number() != sequence {
                continue;
            }
            self.interrupted |= message.flags() & NLM_F_DUMP_INTR != 0;
            match message.message_type() {
                NLMSG_NOOP => {}
                // Both begin with an error number: zero, or negative. A list that failed half way
                // ends with one too.
                NLMSG_DONE | NLMSG_ERROR => {
                    let end = ErrorBuffer::new_checked(message.payload()).map_err(malformed)?;
                    if let Some(code) = end.code() {
                        let source = io::Error::from_raw_os_error(code.get().saturating_neg());
                        return Err(WatchError::Refused { what: question.what, source });
                    }
                    return Ok(true);
                }
                NLMSG_OVERRUN => {
                    return Err(WatchError::Malformed { what: question.what, detail: "overrun".to_owned() });
                }
                kind => {
                    if kind == question.reply {
                        self.items.extend(read(message.payload()).map_err(malformed)?);
                    }
                    if message.flags() & NLM_F_MULTIPART == 0 {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

/// The kernel's port.
const KERNEL: u32 = 0;
/// The kernel writes at most 32 KiB at a time.
const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    const HEADER: usize = 16;
    const MULTI: u16 = NLM_F_MULTIPART;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + payload.len()];
        bytes[HEADER..].copy_from_slice(payload);
        let length = u32::try_from(bytes.len()).unwrap();
        let mut buffer = NetlinkBuffer::new(&mut bytes);
        buffer.set_length(length);
        buffer.set_message_type(kind);
        buffer.set_flags(flags);
        buffer.set_sequence_number(sequence);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn number(payload: &[u8]) -> Result<Option<u8>, DecodeError> {
        match payload {
            [] => Err(DecodeError::from("empty")),
            [0, ..] => Ok(None),
            [n, ..] => Ok(Some(*n)),
        }
    }

    fn take(datagrams: &[Vec<u8>]) -> Result<(bool, Vec<u8>, bool), WatchError> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let question = Question { what: "numbers", request, reply: 16 };
        let mut answer = Answer { items: Vec::new(), interrupted: false };
        let mut complete = false;
        for datagram in datagrams {
            assert!(!complete, "more after the end");
            complete = answer.take(datagram, 7, &question, number)?;
        }
        Ok((complete, answer.items, answer.interrupted))
    }

    #[test]
    fn a_list_ends_with_the_kernels_end_mark_and_not_before() {
        let first = [message(16, MULTI, 7, &[1]), message(16, MULTI, 7, &[0]), message(16, MULTI, 7, &[2])].concat();
        assert_eq!(take(std::slice::from_ref(&first)).unwrap(), (false, vec![1, 2], false));
        let last = [message(16, MULTI, 7, &[3]), message(NLMSG_DONE, MULTI, 7, &[0; 4])].concat();
        assert_eq!(take(&[first, last]).unwrap(), (true, vec![1, 2, 3], false));
    }

    #[test]
    fn other_peoples_messages_neither_add_nor_end() {
        let datagram = [
            message(16, 0, 6, &[9]),
            message(NLMSG_DONE, MULTI, 6, &[0; 4]),
            message(17, MULTI, 7, &[9]),
            message(16, MULTI, 7, &[1]),
        ];
        assert_eq!(take(&[datagram.concat()]).unwrap(), (false, vec![1], false));
    }

    #[test]
    fn a_change_in_between_shows_even_in_the_end_mark() {
        let item = message(16, MULTI, 7, &[1]);
        let end = message(NLMSG_DONE, MULTI | NLM_F_DUMP_INTR, 7, &[0; 4]);
        assert_eq!(take(&[[item, end].concat()]).unwrap(), (true, vec![1], true));
    }

    #[test]
    fn errors_are_errors_and_never_a_short_list() {
        let item = message(16, MULTI, 7, &[1]);
        let refused = |end| match take(&[[item.clone(), end].concat()]) {
            Err(WatchError::Refused { what: "numbers", source }) => source.raw_os_error(),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(message(NLMSG_ERROR, 0, 7, &(-12i32).to_ne_bytes())), Some(12));
        assert_eq!(refused(message(NLMSG_DONE, MULTI, 7, &(-105i32).to_ne_bytes())), Some(105));

        let cut_end = message(NLMSG_DONE, MULTI, 7, &[]);
        for bad in [message(16, MULTI, 7, &[]), message(NLMSG_OVERRUN, 0, 7, &[]), cut_end, item[..12].to_vec()] {
            let result = take(&[[item.clone(), bad].concat()]);
            assert!(matches!(result, Err(WatchError::Malformed { .. })), "{result:?}");
        }
    }

    #[test]
    fn a_single_reply_ends_itself() {
        assert_eq!(take(&[message(16, 0, 7, &[5])]).unwrap(), (true, vec![5], false));
    }
}
