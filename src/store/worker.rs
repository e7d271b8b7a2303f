//! A thread that owns a database connection. One writes; the others only read.

use super::{StoreError, Unavailable, open::OpenError};
use crate::failpoints;
use actix::prelude::*;
use diesel::{
    SqliteConnection,
    connection::{AnsiTransactionManager, TransactionManager},
    prelude::*,
    sql_types::Integer,
};
use std::{
    convert::Infallible,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::error;

/// Opens a connection, given the file and the busy timeout in milliseconds.
pub(super) type OpenConnection = fn(&Path, u64) -> Result<SqliteConnection, OpenError>;

/// Runs operations one at a time on its connection and replaces the connection when it cannot be trusted.
pub(super) struct ConnectionWorker {
    conn: Option<SqliteConnection>,
    connect: OpenConnection,
    path: PathBuf,
    busy_timeout_ms: u64,
    /// Last field, so that it is dropped after the connection is closed.
    _alive: Option<mpsc::Sender<Infallible>>,
}

impl ConnectionWorker {
    pub(super) fn new(
        conn: Option<SqliteConnection>,
        connect: OpenConnection,
        path: PathBuf,
        busy_timeout_ms: u64,
    ) -> Self {
        ConnectionWorker { conn, connect, path, busy_timeout_ms, _alive: None }
    }

    /// Keeps `alive` until the connection is closed for good.
    pub(super) fn reporting(self, alive: mpsc::Sender<Infallible>) -> Self {
        ConnectionWorker { _alive: Some(alive), ..self }
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        if self.conn.is_none() {
            let fresh = (self.connect)(&self.path, self.busy_timeout_ms);
            self.conn = Some(fresh.map_err(|error| Unavailable::NotOpen(error.to_string()))?);
        }
        self.conn.as_mut().ok_or(StoreError::Gone)
    }

    fn perform<T>(
        &mut self,
        operation: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let conn = self.connection()?;
        failpoints::point("store operation");
        let result = operation(conn);
        // A transaction left open would affect all later operations.
        if AnsiTransactionManager::is_broken_transaction_manager(conn) {
            self.conn = None;
        }
        if result.as_ref().is_err_and(StoreError::spoils_connection) {
            self.renew();
        }
        result
    }

    /// An in-memory database would be lost with its connection.
    fn renew(&mut self) {
        if self.path != Path::new(":memory:") {
            self.conn = None;
        }
    }
}

impl Actor for ConnectionWorker {
    type Context = SyncContext<Self>;
}

/// Runs one operation; its permit is released when it is over.
pub(super) struct RunOperation<T, F> {
    operation: F,
    _place: OwnedSemaphorePermit,
    result: PhantomData<fn() -> T>,
}

impl<T, F> RunOperation<T, F> {
    pub(super) fn new(operation: F, place: OwnedSemaphorePermit) -> Self {
        RunOperation { operation, _place: place, result: PhantomData }
    }
}

impl<T: 'static, F> Message for RunOperation<T, F> {
    type Result = Result<T, StoreError>;
}

impl<T, F> Handler<RunOperation<T, F>> for ConnectionWorker
where
    T: Send + 'static,
    F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
{
    type Result = Result<T, StoreError>;

    fn handle(&mut self, run: RunOperation<T, F>, ctx: &mut Self::Context) -> Self::Result {
        failpoints::point("store thread");
        // A panic that reached the SyncArbiter would end the store for good.
        catch_unwind(AssertUnwindSafe(|| self.perform(run.operation))).unwrap_or_else(|_| {
            error!("a store operation panicked, the database is opened again");
            ctx.stop(); // the next worker starts without a connection and opens one
            Err(StoreError::Panicked)
        })
    }
}

/// Reopens the connection before the next operation.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct RenewConnection;

impl Handler<RenewConnection> for ConnectionWorker {
    type Result = ();

    fn handle(&mut self, _: RenewConnection, _: &mut Self::Context) {
        self.renew();
    }
}

/// Moves the log into the database and closes it.
#[derive(Message)]
#[rtype(result = "Result<(), StoreError>")]
pub(super) struct CloseConnection;

impl Handler<CloseConnection> for ConnectionWorker {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, _: CloseConnection, _: &mut Self::Context) -> Self::Result {
        let Some(mut conn) = self.conn.take() else { return Ok(()) };
        let blocked: Checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(&mut conn)?;
        if blocked.busy == 0 { Ok(()) } else { Err(Unavailable::Busy.into()) }
    }
}

#[derive(QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = Integer)]
    busy: i32,
}

/// Runs `operation` in an immediate transaction; an error rolls back and is returned.
pub(super) fn immediate<T>(
    conn: &mut SqliteConnection,
    operation: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut cause = None;
    let result = conn.immediate_transaction(|conn| operation(conn).map_err(|error| roll_back(&mut cause, error)));
    // After a full disk SQLite has already rolled back, so the failed second attempt is ignored.
    result.map_err(|error| cause.unwrap_or_else(|| error.into()))
}

/// Runs a read-only `operation` on one snapshot of the database.
pub(super) fn snapshot<T>(
    conn: &mut SqliteConnection,
    operation: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut cause = None;
    let result = conn.transaction(|conn| operation(conn).map_err(|error| roll_back(&mut cause, error)));
    result.map_err(|error| cause.unwrap_or_else(|| error.into()))
}

/// Runs `operation` within the open transaction; an error undoes only its own changes.
pub(super) fn savepoint<T>(
    conn: &mut SqliteConnection,
    operation: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    snapshot(conn, operation) // a transaction in a transaction is a savepoint
}

/// Keeps the store error that diesel's error type cannot carry.
fn roll_back(cause: &mut Option<StoreError>, error: StoreError) -> diesel::result::Error {
    *cause = Some(error);
    diesel::result::Error::RollbackTransaction
}
