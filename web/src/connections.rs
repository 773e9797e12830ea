//! How many connections an address may have open.

use std::{any::Any, collections::HashMap, net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, dev::Extensions, rt::net::TcpStream};
use parking_lot::Mutex;

use crate::{
    address,
    guard::is_probe,
    problem::{Kind, Trouble},
    settings::WebSettings,
};

/// The open connections of each address.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them, for as long as it is open.
struct Connection {
    all: Arc<Connections>,
    address: IpAddr,
    /// Whether the address had as many as it may before it.
    too_many: bool,
}

impl Connections {
    /// Counts a connection that was made.
    pub(crate) fn count(self: &Arc<Self>, connection: &dyn Any, kept: &mut Extensions, most: usize) {
        let address = connection.downcast_ref::<TcpStream>().and_then(|stream| stream.peer_addr().ok());
        if let Some(address) = address {
            kept.insert(self.enter(address::owner(address.ip()), most));
        }
    }

    fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Connection {
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        *count += 1;
        Connection { all: self.clone(), address, too_many: *count > most }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.all.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Whether a request came by a connection of an address that has too many, which is closed then.
pub(crate) fn is_one_too_many(request: &HttpRequest) -> bool {
    request.conn_data::<Connection>().is_some_and(|connection| connection.too_many)
}

/// Refuses what comes by such a connection. One that says nothing is closed soon.
pub(crate) fn check(request: &HttpRequest, settings: &WebSettings) -> Result<(), Trouble> {
    if !is_one_too_many(request) || is_probe(request.path()) {
        return Ok(());
    }
    let most = settings.max_connections_per_address;
    let detail = format!("an address may have {most} connections open: use those that there are");
    Err(Trouble::new(Kind::Unavailable, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_connections_and_those_that_end_make_room() {
        let (all, most) = (Arc::new(Connections::default()), 2);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = all.enter(one, most);
        let second = all.enter(one, most);
        let third = all.enter(one, most);
        assert_eq!([&first, &second, &third].map(|one| one.too_many), [false, false, true]);
        assert!(!all.enter(other, most).too_many);
        drop((first, third));
        assert!(!all.enter(one, most).too_many);
        drop(second);
        assert!(all.open.lock().is_empty());
    }
}
