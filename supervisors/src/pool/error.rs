//! [`ResizeError`].

/// Why a pool did not get another size.
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Idle;
/// # impl Actor for Idle {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Idle) }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = PoolSpec::<Idle>::new("pool", 2, ()).bounds(1..=4);
/// let pool = spec.pool();
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").pool(spec)).await?;
/// let error = pool.resize(9).expect_err("too many");
/// assert_eq!(error, ResizeError::OutOfBounds { size: 9, min: 1, max: 4 });
/// assert_eq!(error.to_string(), "a pool of 9 workers: it must have 1 to 4");
/// system.shutdown(std::time::Duration::from_secs(5)).await;
/// assert_eq!(pool.resize(3), Err(ResizeError::Stopped));
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// The pool is not to be so large, or so small.
    #[error("a pool of {size} workers: it must have {min} to {max}")]
    OutOfBounds {
        /// What was asked for.
        size: usize,
        /// The smallest size.
        min: usize,
        /// The largest size.
        max: usize,
    },
    /// The pool is gone for good.
    #[error("the pool has stopped")]
    Stopped,
}
