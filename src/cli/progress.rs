//! What is going on, on a terminal, when it takes longer than a second. Nothing in a pipe.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::termios::tcgetwinsize;

use crate::cli::render::is_printable;

/// What is done by then needs no explanation.
const DELAY: Duration = Duration::from_secs(1);

/// How often the line is drawn again at most.
const REDRAW: Duration = Duration::from_millis(100);

/// Goes to the start of the line and empties it (ECMA-48 EL).
const CLEAR: &str = "\r\x1b[K";

/// How many columns a terminal has that does not say.
const COLUMNS: usize = 80;

/// Says on one line of the terminal what is going on, for as long as it lives. The line is gone when
/// it has been dropped, so drop it before printing, or print within [`aside`](Progress::aside).
///
/// A thread of its own draws it, so that it also tells of work that blocks.
pub struct Progress {
    /// `None` where nobody looks.
    drawn: Option<Drawn>,
}

struct Drawn {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    line: Mutex<Line>,
    ended: Condvar,
}

struct Line {
    /// What is going on while nothing is waited for in particular.
    text: String,
    /// What is waited for, the oldest first, each by its number.
    waiting: Vec<(usize, String)>,
    /// How many have been waited for.
    begun: usize,
    /// Whether the terminal shows something else than `text`.
    stale: bool,
    /// Whether the terminal shows anything.
    shown: bool,
    ended: bool,
    screen: Box<dyn Screen>,
}

/// Where the line is drawn.
pub trait Screen: Write + Send {
    /// How many columns it has now; a line that is wider would be wrapped and could not be cleared.
    fn columns(&self) -> usize;
}

impl Screen for io::Stderr {
    fn columns(&self) -> usize {
        tcgetwinsize(self).map(|size| usize::from(size.ws_col)).ok().filter(|count| *count > 0).unwrap_or(COLUMNS)
    }
}

impl Progress {
    /// Shows `what` on the error output after a second, where that is a terminal that can clear a line.
    pub fn new(what: impl Into<String>) -> Self {
        let term = std::env::var_os("TERM").filter(|term| !term.is_empty() && term != "dumb");
        match term.is_some() && io::stderr().is_terminal() {
            true => Progress::on(Box::new(io::stderr()), what, DELAY),
            false => Progress::silent(),
        }
    }

    /// Shows nothing.
    pub fn silent() -> Self {
        Progress { drawn: None }
    }

    /// Shows `what` on this screen after `delay`.
    pub fn on(screen: Box<dyn Screen>, what: impl Into<String>, delay: Duration) -> Self {
        let (waiting, text) = (Vec::new(), what.into());
        let line = Line { text, waiting, begun: 0, stale: true, shown: false, ended: false, screen };
        let shared = Arc::new(Shared { line: Mutex::new(line), ended: Condvar::new() });
        let drawer = Arc::clone(&shared);
        // A host that has no room for a thread has other troubles; the work itself goes on.
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(move || drawer.draw(delay)).ok();
        Progress { drawn: Some(Drawn { shared, thread }) }
    }

    /// Changes the text, for example to `reading hosted zone Z1: 1,200 record sets`.
    pub fn say(&self, text: impl Into<String>) {
        if let Some(Drawn { shared, .. }) = &self.drawn {
            let mut line = shared.lock();
            line.text = text.into();
            line.stale = true;
        }
    }

    /// Says `what` for as long as what it returns lives. Of several that are waited for at once, the one that
    /// has been for longest is named, and the others are counted: what is done soon does not hide what hangs.
    pub fn waiting(&self, what: impl Into<String>) -> Waiting<'_> {
        let Some(Drawn { shared, .. }) = &self.drawn else { return Waiting { shared: None, number: 0 } };
        let mut line = shared.lock();
        line.begun += 1;
        let number = line.begun;
        line.waiting.push((number, what.into()));
        line.stale = true;
        Waiting { shared: Some(shared), number }
    }

    /// Clears the line, lets `print` print, and draws the line again below it.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        let Some(Drawn { shared, .. }) = &self.drawn else { return print() };
        let mut line = shared.lock();
        line.clear();
        print()
    }
}

/// Something that is waited for, until this is dropped.
pub struct Waiting<'p> {
    shared: Option<&'p Shared>,
    number: usize,
}

impl Waiting<'_> {
    /// Changes what is said of it.
    pub fn say(&self, what: impl Into<String>) {
        if let Some(shared) = self.shared {
            let mut line = shared.lock();
            if let Some((_, text)) = line.waiting.iter_mut().find(|(number, _)| *number == self.number) {
                *text = what.into();
            }
            line.stale = true;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared {
            let mut line = shared.lock();
            line.waiting.retain(|(number, _)| *number != self.number);
            line.stale = true;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(Drawn { shared, thread }) = &mut self.drawn {
            shared.lock().ended = true;
            shared.ended.notify_all();
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    /// A panic while it was held leaves nothing half done that matters.
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws until the end, and clears the line then.
    fn draw(&self, delay: Duration) {
        let mut line = self.lock();
        let mut pause = delay;
        loop {
            let waited = self.ended.wait_timeout_while(line, pause, |line| !line.ended);
            line = waited.unwrap_or_else(PoisonError::into_inner).0;
            if line.ended {
                break line.clear();
            }
            line.draw();
            pause = REDRAW;
        }
    }
}

impl Line {
    fn said(&self) -> String {
        match self.waiting.split_first() {
            None => self.text.clone(),
            Some(((_, oldest), [])) => oldest.clone(),
            Some(((_, oldest), others)) => format!("{oldest} (and {} more)", others.len()),
        }
    }

    fn draw(&mut self) {
        if !self.stale {
            return;
        }
        // In the last column some terminals wrap already.
        let room = self.screen.columns().saturating_sub(1);
        let text: String = self.said().chars().filter(|c| is_printable(*c)).collect();
        let text = match text.chars().count() > room {
            true => text.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
            false => text,
        };
        self.put(&format!("{CLEAR}{text}"));
        (self.stale, self.shown) = (false, true);
    }

    fn clear(&mut self) {
        if self.shown {
            self.put(CLEAR);
            (self.stale, self.shown) = (true, false);
        }
    }

    /// Where the terminal is gone, there is nobody to tell.
    fn put(&mut self, text: &str) {
        let _ = self.screen.write_all(text.as_bytes()).and_then(|()| self.screen.flush());
    }
}

/// A count for people: `1,200`.
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A screen that passes on what is drawn.
    struct Recorded {
        columns: usize,
        sent: mpsc::Sender<String>,
    }

    impl Write for Recorded {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.sent.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen for Recorded {
        fn columns(&self) -> usize {
            self.columns
        }
    }

    fn progress(columns: usize, delay: Duration) -> (Progress, mpsc::Receiver<String>) {
        let (sent, drawn) = mpsc::channel();
        (Progress::on(Box::new(Recorded { columns, sent }), "first", delay), drawn)
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_done_soon_is_not_talked_about() {
        let (progress, drawn) = progress(80, LONG);
        progress.say("second");
        progress.aside(|| ());
        // Returns at once, whatever the delay.
        drop(progress);
        assert_eq!(drawn.iter().collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn the_line_follows_the_work_and_is_gone_in_the_end() {
        let (progress, drawn) = progress(80, Duration::ZERO);
        let next = || drawn.recv_timeout(Duration::from_secs(60)).expect("drawn");
        assert_eq!(next(), "\r\x1b[Kfirst");
        progress.say("sec\r\nond");
        // While this thread does nothing but wait.
        assert_eq!(next(), "\r\x1b[Ksecond");
        assert_eq!(progress.aside(|| drawn.try_recv().expect("cleared")), "\r\x1b[K");
        assert_eq!(next(), "\r\x1b[Ksecond");
        drop(progress);
        assert_eq!(drawn.iter().collect::<Vec<_>>(), ["\r\x1b[K"]);
    }

    #[test]
    fn what_is_waited_for_is_named_the_oldest_first() {
        let (progress, drawn) = progress(80, Duration::ZERO);
        let shows = |expected: &str| {
            let deadline = std::time::Instant::now() + Duration::from_secs(60);
            while drawn.recv_timeout(Duration::from_secs(60)).expect("drawn") != format!("\r\x1b[K{expected}") {
                assert!(std::time::Instant::now() < deadline, "{expected} is never shown");
            }
        };
        shows("first");
        let (hangs, works) = (progress.waiting("a"), progress.waiting("b"));
        works.say("b: 300");
        shows("a (and 1 more)");
        drop(works);
        shows("a");
        let later = progress.waiting("c");
        later.say("c: 300");
        shows("a (and 1 more)");
        drop(hangs);
        shows("c: 300");
        drop(later);
        shows("first");
        drop(Progress::silent().waiting("x"));
    }

    #[test]
    fn what_does_not_change_is_not_drawn_again() {
        let (progress, drawn) = progress(80, Duration::ZERO);
        drawn.recv_timeout(Duration::from_secs(60)).expect("drawn");
        assert!(drawn.recv_timeout(REDRAW * 3).is_err());
        drop(progress);
    }

    #[test]
    fn the_line_is_never_as_wide_as_the_screen() {
        for (columns, expected) in [(7, "first"), (6, "first"), (5, "fir…"), (2, "…"), (0, "…")] {
            let (progress, drawn) = progress(columns, Duration::ZERO);
            let line = drawn.recv_timeout(Duration::from_secs(60)).expect("drawn");
            assert_eq!(line, format!("\r\x1b[K{expected}"), "{columns} columns");
            drop(progress);
        }
    }

    #[test]
    fn callbacks_and_tasks_can_say_something() {
        fn shared(_: &(dyn Fn(usize) + Sync)) {}
        fn sent<T: Send + Sync>(_: &T) {}
        let progress = Progress::silent();
        shared(&|count| progress.say(thousands(count)));
        sent(&progress);
        assert_eq!(progress.aside(|| 1), 1);
    }

    #[test]
    fn counts_have_commas() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(count), text);
        }
    }
}
