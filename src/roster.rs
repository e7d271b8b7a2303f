//! Keyed actors: one per key, started when first asked for, replaced when dead, bounded in number.

use actix::{Actor, Addr, Context};
use std::{
    fmt,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The actors of one kind, by key.
pub struct Roster<K, A: Actor<Context = Context<A>>> {
    actors: Mutex<foldhash::HashMap<K, Addr<A>>>,
    max: usize,
}

/// The roster is full of living actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{max} are alive already")]
pub struct Full {
    /// How many may live.
    pub max: usize,
}

impl<K: Clone + Eq + Hash, A: Actor<Context = Context<A>>> Roster<K, A> {
    /// An empty roster with room for `max` living actors.
    pub fn new(max: usize) -> Self {
        assert!(max > 0, "a roster without room holds nobody");
        Roster { actors: Mutex::default(), max }
    }

    /// The living actor of `key`; `start` makes one where there is none. It then lives on the calling arbiter.
    pub fn get_or_start(&self, key: &K, start: impl FnOnce() -> Addr<A>) -> Result<Addr<A>, Full> {
        let mut actors = self.lock();
        if let Some(actor) = actors.get(key).filter(|actor| actor.connected()) {
            return Ok(actor.clone());
        }
        if actors.len() >= self.max {
            actors.retain(|_, actor| actor.connected());
            if actors.len() >= self.max {
                return Err(Full { max: self.max });
            }
        }
        let actor = start();
        actors.insert(key.clone(), actor.clone());
        Ok(actor)
    }

    /// All living actors with their keys.
    pub fn all(&self) -> Vec<(K, Addr<A>)> {
        self.lock().iter().filter(|(_, a)| a.connected()).map(|(k, a)| (k.clone(), a.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, foldhash::HashMap<K, Addr<A>>> {
        // Nothing here panics between two changes, so what a panicking thread left is whole.
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: fmt::Debug, A: Actor<Context = Context<A>>> fmt::Debug for Roster<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster").field("max", &self.max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::prelude::*;

    struct Named(u32);
    impl Actor for Named {
        type Context = Context<Self>;
    }
    #[derive(Message)]
    #[rtype(result = "u32")]
    struct Number;
    impl Handler<Number> for Named {
        type Result = u32;
        fn handle(&mut self, _: Number, _: &mut Self::Context) -> u32 {
            self.0
        }
    }
    #[derive(Message)]
    #[rtype(result = "()")]
    struct End;
    impl Handler<End> for Named {
        type Result = ();
        fn handle(&mut self, _: End, ctx: &mut Self::Context) {
            ctx.stop();
        }
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn a_dead_actor_is_replaced_and_a_living_one_is_not() {
        let roster = Roster::new(1);
        let first = roster.get_or_start(&"a", || Named(1).start()).unwrap();
        let same = roster.get_or_start(&"a", || Named(2).start()).unwrap();
        assert_eq!(same.send(Number).await.unwrap(), 1);
        assert_eq!(roster.get_or_start(&"b", || Named(3).start()).err(), Some(Full { max: 1 }));
        first.send(End).await.unwrap();
        tokio::task::yield_now().await;
        let next = roster.get_or_start(&"b", || Named(4).start()).unwrap();
        assert_eq!(next.send(Number).await.unwrap(), 4, "the dead made room");
        assert_eq!(roster.all().len(), 1);
    }
}
