//! A gateway with something to lean on that fails, an upstream, and traffic.

use std::collections::BTreeMap;
use std::time::Duration;

use luthien_testkit::Upstream;
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::http as web;
use serde_json::Value;
use tokio::time::timeout;

use crate::fault::{Fault, Prop};
use crate::load::{Kind, Load, Seen, Workers};
use crate::record::Record;
use crate::said;

pub(crate) struct Rig {
    pub(crate) gateway: Gateway,
    pub(crate) load: Load,
    fault: Fault,
    prop: Prop,
    upstream: Upstream,
}

impl Rig {
    /// A gateway that this will happen to, with more in its environment.
    pub(crate) async fn new(fault: Fault, environment: &[(&str, &str)]) -> Self {
        Self::around(fault, environment, async |setup, all| Gateway::start_with(setup, all).await).await
    }

    /// The same with the journal on a disk of a megabyte. Fails the test where this machine lets nobody mount one.
    pub(crate) async fn on_small_disk(fault: Fault, environment: &[(&str, &str)]) -> Self {
        Self::around(fault, environment, async |setup, all| Gateway::start_on_small_disk(setup, all, 1 << 20).await)
            .await
    }

    async fn around(
        fault: Fault,
        environment: &[(&str, &str)],
        start: impl AsyncFnOnce(&Setup, &[(&str, &str)]) -> Gateway,
    ) -> Self {
        let (prop, load) = (Prop::prone_to(fault), Load::default());
        let upstream = Upstream::start().await.expect("an upstream");
        upstream.default_script(load.script());
        let (name, value) = prop.setting();
        let environment = [environment, &[(name, value.as_str())]].concat();
        let setup = Setup { upstream: upstream.base_url(), policy: None };
        let gateway = start(&setup, &environment).await;
        Self { gateway, load, fault, prop, upstream }
    }

    /// Lets it happen.
    pub(crate) fn suffer(&mut self) {
        self.prop.suffer(self.fault, &self.gateway.data());
    }

    /// Whether an insert cannot end now.
    pub(crate) fn holds_an_insert(&mut self) -> bool {
        self.prop.holds_an_insert()
    }

    /// Ends it.
    pub(crate) fn mend(&mut self) {
        self.prop.mend(self.fault);
    }

    pub(crate) fn work(&self, workers: &[Kind]) -> Workers {
        self.load.start(self.gateway.url(), workers)
    }

    /// Waits until so many more requests have been made.
    pub(crate) async fn asked(&self, more: u64) {
        let before = self.load.asked();
        until("requests", async || (self.load.asked() >= before + more).then_some(())).await;
    }

    /// What `/health` says.
    pub(crate) async fn health(&self) -> Value {
        let answer = web::get(&format!("{}/health", self.gateway.url())).await.expect("an answer");
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Waits until `/health` says `status`.
    pub(crate) async fn is(&self, status: &str) {
        until(status, async || (self.health().await["status"] == status).then_some(())).await;
    }

    /// Waits until all that was seen is on the record, but for so many; all that is there has to be whole.
    pub(crate) async fn recorded(&self, seen: &BTreeMap<u64, Seen>, but: usize) {
        let mut record = Record::default();
        let mut found = BTreeMap::new();
        until("records", async || {
            found.append(&mut record.read(&self.gateway).await);
            (found.len() + but >= seen.len()).then_some(())
        })
        .await;
        assert_eq!(found.len() + but, seen.len());
        for (number, one) in &found {
            let seen = seen.get(number).unwrap_or_else(|| panic!("request {number} was never made"));
            assert_eq!(one.status, "completed", "request {number}");
            assert_eq!(one.text, said::answer(*number, seen.kind.pieces()), "request {number}");
            assert_eq!(Some(&one.id), seen.id.as_ref(), "request {number}");
        }
    }

    pub(crate) async fn stop(self) {
        self.gateway.stop().await;
        self.upstream.stop().await;
    }
}

/// Asks again and again until there is something. Fails the test after a minute.
pub(crate) async fn until<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = ready().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_mins(1), waiting).await.unwrap_or_else(|_| panic!("no {what} within a minute"))
}
