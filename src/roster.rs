//! Keyed actors: one per key, started when first asked for, replaced when dead, bounded in number.

use actix::{Actor, Addr, Context};
use std::{
    fmt,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The actors of one kind, by key.
pub struct Roster<K, A: Actor<Context = Context<A>>> {
    actors: Mutex<foldhash::HashMap<K, Member<A>>>,
    max: usize,
}

struct Member<A: Actor> {
    actor: Addr<A>,
    load: Load,
}

/// What an actor still has to do or to remember. The roster counts each time it hands the actor out, the actor counts
/// down when that is over; at zero it may give its place to another.
#[derive(Clone, Debug, Default)]
pub struct Load(Arc<AtomicUsize>);

impl Load {
    /// One thing more.
    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// One thing less.
    pub fn remove(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Whether nothing is left.
    pub fn is_none(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
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

    /// The living actor of `key`, with one more thing to do; `start` makes one where there is none. It then lives on the
    /// calling arbiter. Where there is no room, actors that have nothing to do make some.
    pub fn get_or_start(&self, key: &K, start: impl FnOnce(Load) -> Addr<A>) -> Result<Addr<A>, Full> {
        let mut actors = self.lock();
        if let Some(member) = actors.get(key).filter(|member| member.actor.connected()) {
            member.load.add();
            return Ok(member.actor.clone());
        }
        if actors.len() >= self.max {
            actors.retain(|_, member| member.actor.connected() && !member.load.is_none());
            if actors.len() >= self.max {
                return Err(Full { max: self.max });
            }
        }
        let load = Load::default();
        load.add();
        let actor = start(load.clone());
        actors.insert(key.clone(), Member { actor: actor.clone(), load });
        Ok(actor)
    }

    /// Whether one more actor could be started now.
    pub fn has_room(&self) -> bool {
        let actors = self.lock();
        let stays = |member: &&Member<A>| member.actor.connected() && !member.load.is_none();
        actors.len() < self.max || actors.values().filter(stays).count() < self.max
    }

    /// The living actor of `key`.
    pub fn get(&self, key: &K) -> Option<Addr<A>> {
        self.lock().get(key).filter(|member| member.actor.connected()).map(|member| member.actor.clone())
    }

    /// All living actors with their keys.
    pub fn all(&self) -> Vec<(K, Addr<A>)> {
        let living = |member: &Member<A>| member.actor.connected();
        self.lock().iter().filter(|(_, m)| living(m)).map(|(k, m)| (k.clone(), m.actor.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, foldhash::HashMap<K, Member<A>>> {
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
        let first = roster.get_or_start(&"a", |_| Named(1).start()).unwrap();
        let same = roster.get_or_start(&"a", |_| Named(2).start()).unwrap();
        assert_eq!(same.send(Number).await.unwrap(), 1);
        assert_eq!(roster.get_or_start(&"b", |_| Named(3).start()).err(), Some(Full { max: 1 }));
        first.send(End).await.unwrap();
        tokio::task::yield_now().await;
        let next = roster.get_or_start(&"b", |_| Named(4).start()).unwrap();
        assert_eq!(next.send(Number).await.unwrap(), 4, "the dead made room");
        assert_eq!(roster.all().len(), 1);
    }
    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn an_actor_with_nothing_to_do_makes_room_and_one_at_work_does_not() {
        let roster = Roster::new(1);
        let mut load = Load::default();
        let first = roster.get_or_start(&"a", |given| {
            load = given;
            Named(1).start()
        });
        assert!(first.is_ok() && roster.get_or_start(&"b", |_| Named(2).start()).is_err());
        load.remove();
        assert!(roster.get_or_start(&"b", |_| Named(2).start()).is_ok());
        assert_eq!(roster.all().len(), 1);
    }
}
