//! Ports that stay a server's own while it is stopped.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

use rustix::process::geteuid;

/// Below what systems give to outgoing connections, so that none of those takes the port of a stopped server.
const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

/// A free TCP port on 127.0.0.1. No other process that takes its ports here gets the same until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _lock: File,
}

impl Port {
    pub(crate) fn take() -> io::Result<Self> {
        let locks = std::env::temp_dir().join(format!("luthien-test-ports-{}", geteuid().as_raw()));
        fs::create_dir_all(&locks)?;
        let start = random() % u64::from(COUNT);
        for step in 0..COUNT {
            let offset = (start + u64::from(step)) % u64::from(COUNT);
            let number = FIRST + u16::try_from(offset).map_err(io::Error::other)?;
            let lock = File::create(locks.join(number.to_string()))?;
            let ours = lock.try_lock().is_ok();
            if ours && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(io::Error::other("no port is free"))
    }
}

/// A number that differs from call to call and from process to process.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
