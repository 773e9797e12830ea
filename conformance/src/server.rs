//! Servers that can be made to fail.

/// What a backend talks to, of one test alone, with its data. It can be made to fail. Dropped, it is gone.
///
/// Whatever it is counts: a process, a container, a folder. Calls may block; what cannot be done panics.
pub trait Server: 'static {
    /// Starts it, also again, at the same place and on the same data, and waits until it answers.
    fn start(&mut self);

    /// Stops it in good order: what is under way may be done.
    fn stop(&mut self);

    /// Ends it at once, in the middle of whatever it does. Only what it has said to be durable is there at the next start.
    fn kill(&mut self);

    /// Lets it answer nothing from now on, without refusing anything: whoever waits goes on waiting.
    fn freeze(&self);

    /// Lets it go on.
    fn thaw(&self);
}
