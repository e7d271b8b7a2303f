//! A database that cannot be used: damaged, of a newer version, or with an interrupted migration.

use super::Faults;
use crate::support::{Daemon, Folder, ask, automatic, daemon::exit_code, until};
use baa_conductor::store::{Store, StoreSettings};
use diesel::connection::SimpleConnection;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

fn database(folder: &Folder) -> PathBuf {
    folder.state().join("conductor.db")
}

/// Returns a folder with a used and closed database.
async fn used() -> Folder {
    let mut daemon = Daemon::start("").await;
    assert_eq!(daemon.stop().await, Some(0));
    daemon.into_folder()
}

async fn refused(folder: &Folder, mut command: Command) -> String {
    let log = folder.path().join("refused");
    let mut child: Child = command.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    assert_eq!(exit_code(&mut child).await, Some(1));
    let said = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    assert_eq!(said, "", "nothing is ready");
    fs::read_to_string(log).unwrap()
}

fn with_new_store(folder: &Folder) -> Command {
    let mut command = folder.command("");
    command.arg("--new-store");
    command
}

/// Returns the quarantined files.
fn asides(folder: &Folder) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.state()).unwrap().map(|entry| entry.unwrap().path());
    let is_aside = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().contains(".damaged-");
    entries.filter(is_aside).collect()
}

fn instructions_are_on(state: &Path) -> bool {
    baa_conductor::state_folder::instructions_enabled(state)
}

#[actix_rt::test]
async fn a_damaged_one_stops_the_start_and_is_left_alone() {
    let folder = used().await;
    let whole = fs::read(database(&folder)).unwrap();
    let mut torn = whole.clone();
    torn[4096..12_288].fill(0xA5);
    for damaged in [b"garbage".repeat(5_000), torn, whole[..whole.len() / 2].to_vec()] {
        fs::write(database(&folder), &damaged).unwrap();
        let said = refused(&folder, folder.command("")).await;
        assert!(said.contains("conductor.db") && said.contains("--new-store"), "{said}");
        assert_eq!(fs::read(database(&folder)).unwrap(), damaged);
    }
    assert!(asides(&folder).is_empty() && instructions_are_on(&folder.state()));
}

#[actix_rt::test]
async fn a_damaged_one_is_moved_aside_when_a_new_one_is_asked_for_and_instructions_are_off() {
    let folder = used().await;
    let garbage = b"garbage".repeat(5_000);
    fs::write(database(&folder), &garbage).unwrap();
    let command = with_new_store(&folder);
    let mut daemon = Daemon::spawn(folder, command).await;
    assert_eq!(daemon.caller().get("/readyz").await.status, 200);
    let [aside] = &asides(daemon.folder())[..] else { panic!("one file: {:?}", asides(daemon.folder())) };
    assert_eq!(fs::read(aside).unwrap(), garbage);
    let state = daemon.folder().state();
    assert!(!instructions_are_on(&state));
    assert!(daemon.stderr().contains("instructions are off"), "{}", daemon.stderr());
    // Instructions stay off over restarts until they are enabled.
    assert_eq!(daemon.stop().await, Some(0));
    let daemon = Daemon::start_in(daemon.into_folder(), "").await;
    assert!(!instructions_are_on(&state));
    baa_conductor::state_folder::enable_instructions(&state).unwrap();
    assert!(instructions_are_on(&state));
    drop(daemon);
}

#[actix_rt::test]
async fn a_whole_one_stays_whatever_was_asked_for() {
    let folder = used().await;
    let command = with_new_store(&folder);
    let daemon = Daemon::spawn(folder, command).await;
    assert!(asides(daemon.folder()).is_empty());
    assert!(instructions_are_on(&daemon.folder().state()));
}

#[actix_rt::test]
async fn one_of_a_newer_version_is_refused_untouched_even_then() {
    let folder = used().await;
    let bytes = {
        let sqlite = Command::new("sqlite3").arg("-version").output();
        if sqlite.is_ok() {
            let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";
            assert!(Command::new("sqlite3").arg(database(&folder)).arg(newer).status().unwrap().success());
        } else {
            // The file contains the version as text; a text of the same length is another version.
            let mut bytes = fs::read(database(&folder)).unwrap();
            let at = bytes.windows(4).rposition(|window| window == b"0001").unwrap();
            bytes[at..at + 4].copy_from_slice(b"9999");
            fs::write(database(&folder), bytes).unwrap();
        }
        fs::read(database(&folder)).unwrap()
    };
    for command in [folder.command(""), with_new_store(&folder)] {
        let said = refused(&folder, command).await;
        assert!(said.contains("newer version"), "{said}");
        assert_eq!(fs::read(database(&folder)).unwrap(), bytes);
    }
    assert!(asides(&folder).is_empty());
}

#[actix_rt::test]
async fn a_start_that_was_killed_while_it_made_the_tables_is_as_if_it_had_never_been() {
    // At any moment of the kill, the next start finds either no database or a complete one.
    for round in 0..12_u64 {
        let folder = Folder::new();
        let mut child = folder.command("").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let state = folder.state();
        // The lock is taken before the database is created, a few milliseconds later.
        until("lock", async || state.join("conductor.lock").exists().then_some(())).await;
        tokio::time::sleep(std::time::Duration::from_micros(round * 700)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let daemon = Daemon::start_in(folder, "").await;
        assert_eq!(daemon.caller().get("/readyz").await.status, 200, "round {round}");
    }
}

#[actix_rt::test]
async fn an_update_that_was_killed_half_way_is_as_if_it_had_never_been_and_is_made_the_next_time() {
    let mut daemon = Daemon::start("").await;
    let firefox = automatic(&daemon, "ff").await;
    assert_eq!(daemon.caller().request(&ask("before", "/echo")).await.status, 200);
    firefox.close(1000, "").await.unwrap();
    assert_eq!(daemon.stop().await, Some(0));
    let folder = daemon.into_folder();
    // As the previous version left it.
    let change = "DROP TABLE pairings; DELETE FROM __diesel_schema_migrations WHERE version = '0008'";
    changed(&folder, change).await;

    let faults = Faults::within(&folder);
    faults.hang("migration");
    let mut command = folder.command("");
    command.env("BAA_TEST_FAULTS", faults.folder()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("the update", async || (!faults.is_set("migration")).then_some(())).await;
    child.kill().unwrap();
    child.wait().unwrap();

    let daemon = Daemon::start_in(folder, "").await;
    let caller = daemon.caller().bearer(&daemon.token());
    assert_eq!(caller.journal("before").await["outcome"], "success");
    assert_eq!(caller.get("/v1/browser/pairings").await.status, 200);
}

async fn changed(folder: &Folder, sql: &'static str) {
    let path = database(folder);
    let store = Store::open(&path, &StoreSettings::default()).unwrap();
    store.run(|conn| Ok(conn.batch_execute(sql)?)).await.unwrap();
    store.close().await.unwrap();
}
