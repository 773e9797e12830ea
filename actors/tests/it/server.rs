//! Servers of a test's own, as the suite of sinks sees them.

use callboard_conformance::Server;
use callboard_testsupport::PrivateServer;

/// One that can be made to fail.
pub(crate) struct Private(pub(crate) PrivateServer);

impl Server for Private {
    fn start(&mut self) {
        self.0.start();
    }

    fn stop(&mut self) {
        self.0.stop();
    }

    fn kill(&mut self) {
        self.0.kill();
    }

    fn freeze(&self) {
        self.0.freeze();
    }

    fn thaw(&self) {
        self.0.thaw();
    }
}
