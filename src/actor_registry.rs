//! A bounded registry of keyed actors: started on demand and replaced when dead.

use actix::{Actor, Addr, Context};
use parking_lot::Mutex;
use std::{
    fmt,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The actors of one kind, by key.
pub struct ActorRegistry<K, A: Actor<Context = Context<A>>> {
    actors: Mutex<foldhash::HashMap<K, RegistryEntry<A>>>,
    max: usize,
}

struct RegistryEntry<A: Actor> {
    actor: Addr<A>,
    load: LoadCounter,
}

/// Counts the open work of an actor. The registry increments it with each `get_or_start`, the actor decrements it when
/// that work is over; at zero the actor may be evicted.
#[derive(Clone, Debug, Default)]
pub struct LoadCounter(Arc<AtomicUsize>);

impl LoadCounter {
    /// Adds one unit of work.
    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Removes one unit of work.
    pub fn remove(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Whether no work is left.
    pub fn is_none(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
}

/// The registry is full of actors with open work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{max} are alive already")]
pub struct RegistryFull {
    /// Most actors.
    pub max: usize,
}

impl<K: Clone + Eq + Hash, A: Actor<Context = Context<A>>> ActorRegistry<K, A> {
    /// Creates a registry for at most `max` living actors.
    pub fn new(max: usize) -> Self {
        assert!(max > 0, "a registry without room holds no actor");
        ActorRegistry { actors: Mutex::default(), max }
    }

    /// Returns the living actor of `key` with one more unit of work, starting it on the calling arbiter if needed. A
    /// full registry first evicts actors without open work.
    pub fn get_or_start(&self, key: &K, start: impl FnOnce(LoadCounter) -> Addr<A>) -> Result<Addr<A>, RegistryFull> {
        let mut actors = self.actors.lock();
        if let Some(entry) = actors.get(key).filter(|entry| entry.actor.connected()) {
            entry.load.add();
            return Ok(entry.actor.clone());
        }
        if actors.len() >= self.max {
            actors.retain(|_, entry| entry.actor.connected() && !entry.load.is_none());
            if actors.len() >= self.max {
                return Err(RegistryFull { max: self.max });
            }
        }
        let load = LoadCounter::default();
        load.add();
        let actor = start(load.clone());
        actors.insert(key.clone(), RegistryEntry { actor: actor.clone(), load });
        Ok(actor)
    }

    /// Whether another actor could be started now.
    pub fn has_room(&self) -> bool {
        let actors = self.actors.lock();
        let stays = |entry: &&RegistryEntry<A>| entry.actor.connected() && !entry.load.is_none();
        actors.len() < self.max || actors.values().filter(stays).count() < self.max
    }

    /// Returns the living actor of `key`.
    pub fn get(&self, key: &K) -> Option<Addr<A>> {
        self.actors.lock().get(key).filter(|entry| entry.actor.connected()).map(|entry| entry.actor.clone())
    }

    /// Returns all living actors with their keys.
    pub fn all(&self) -> Vec<(K, Addr<A>)> {
        let living = |entry: &RegistryEntry<A>| entry.actor.connected();
        self.actors.lock().iter().filter(|(_, m)| living(m)).map(|(k, m)| (k.clone(), m.actor.clone())).collect()
    }
}

impl<K: fmt::Debug, A: Actor<Context = Context<A>>> fmt::Debug for ActorRegistry<K, A> {
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
        let registry = ActorRegistry::new(1);
        let first = registry.get_or_start(&"a", |_| Named(1).start()).unwrap();
        let same = registry.get_or_start(&"a", |_| Named(2).start()).unwrap();
        assert_eq!(same.send(Number).await.unwrap(), 1);
        assert_eq!(registry.get_or_start(&"b", |_| Named(3).start()).err(), Some(RegistryFull { max: 1 }));
        first.send(End).await.unwrap();
        tokio::task::yield_now().await;
        let next = registry.get_or_start(&"b", |_| Named(4).start()).unwrap();
        assert_eq!(next.send(Number).await.unwrap(), 4, "the dead made room");
        assert_eq!(registry.all().len(), 1);
    }
    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn an_actor_with_nothing_to_do_makes_room_and_one_at_work_does_not() {
        let registry = ActorRegistry::new(1);
        let mut load = LoadCounter::default();
        let first = registry.get_or_start(&"a", |given| {
            load = given;
            Named(1).start()
        });
        assert!(first.is_ok() && registry.get_or_start(&"b", |_| Named(2).start()).is_err());
        load.remove();
        assert!(registry.get_or_start(&"b", |_| Named(2).start()).is_ok());
        assert_eq!(registry.all().len(), 1);
    }
}
