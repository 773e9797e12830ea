//! [`Message`].

/// What can be sent to an actor. Nobody writes the impl: derive it with `#[derive(Message)]`, and say with
/// `#[message(reply = T)]` what handling it yields (default `()`).
///
/// ```
/// use callboard_supervisors::Message;
///
/// #[derive(Message)]
/// #[message(reply = u64)]
/// struct Add(u64);
/// ```
pub trait Message: ::actix::Message<Result: Send> + Send + 'static {}

impl<M: ::actix::Message<Result: Send> + Send + 'static> Message for M {}
