//! `/v1/files`: over HTTP, from the fields to the envelope. What files do in detail stands beside their code.

use crate::{
    exec::start,
    support::{Caller, Folder, fault},
};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink};

async fn read(caller: &Caller, body: &Value) -> Value {
    caller.post("/v1/files/read", body).await.data()
}

async fn write(caller: &Caller, body: &Value) -> Value {
    caller.post("/v1/files/write", body).await.data()
}

#[actix_rt::test]
async fn a_file_goes_there_and_back() {
    let (daemon, caller) = start("").await;
    let folder = daemon.folder().path().canonicalize().unwrap();
    let text = "line\r\n\ttab \u{2028} ü \"quote\" \\ end\0";
    let body = json!({"path": "a/b", "cwd": folder, "content": text, "createParents": true, "mode": "0640"});
    let written = write(&caller, &body).await;
    assert_eq!(written["operation"], "files/write");
    assert!(written["input"].get("content").is_none() && written["input"]["mode"] == "0640", "{written}");
    let path = folder.join("a/b");
    assert_eq!(written["result"], json!({"path": path, "created": true, "bytes_written": text.len()}));
    let back = read(&caller, &json!({"path": path})).await;
    assert_eq!(
        (&back["operation"], &back["ok"], &back["result"]["content"]),
        (&json!("files/read"), &json!(true), &json!(text))
    );
    let twice = write(&caller, &json!({"path": path, "content": ""})).await;
    assert_eq!((&twice["ok"], &twice["error"]["code"]), (&json!(false), &json!("already_exists")));
}

#[actix_rt::test]
async fn bad_fields_are_named() {
    let (_daemon, caller) = start("").await;
    for (route, body, field) in [
        ("read", json!({}), "path"),
        ("read", json!({"path": "a", "max_bytes": 0}), "max_bytes"),
        ("write", json!({"path": "a"}), "content"),
        ("write", json!({"path": "a", "content": "", "mode": "8"}), "mode"),
    ] {
        let answer = caller.post(&format!("/v1/files/{route}"), &body).await;
        assert_eq!((answer.error().0, fault(&answer)), (400, field.to_owned()), "{body}");
    }
    for body in [json!([]), json!("x")] {
        assert_eq!(caller.post("/v1/files/read", &body).await.error(), (400, "invalid_request".into()));
    }
}

#[actix_rt::test]
async fn the_daemons_own_files_are_out_of_reach() {
    let (daemon, caller) = start("").await;
    let (state, folder) = (daemon.folder().state(), daemon.folder().path());
    fs::hard_link(state.join("token"), folder.join("hard")).unwrap();
    symlink(&state, folder.join("soft")).unwrap();
    for path in
        [state.join("token"), state.join("../state/conductor.db"), folder.join("hard"), folder.join("soft/token")]
    {
        let answer = read(&caller, &json!({"path": path})).await;
        assert_eq!(answer["error"]["code"], "permission_denied", "{path:?}");
    }
    for path in
        [state.join("token"), state.join("new"), state.join("logs/new"), folder.join("hard"), folder.join("soft/new")]
    {
        let body = json!({"path": path, "content": "x", "overwrite": true, "create_parents": true});
        assert_eq!(write(&caller, &body).await["error"]["code"], "permission_denied", "{path:?}");
    }
    for path in
        ["/proc/self/environ", "/proc/self/cmdline", "/proc/self/fd/0", "/proc/thread-self/environ", "/dev/null"]
    {
        assert_eq!(read(&caller, &json!({"path": path})).await["error"]["code"], "not_regular_file", "{path}");
    }
    assert!(!state.join("logs").exists());
}

#[actix_rt::test]
async fn outside_the_roots_is_403() {
    let root = tempdir();
    let (_daemon, caller) = start(&format!("host_ops.roots = [{:?}]", root.0)).await;
    for (route, body) in [
        ("read", json!({"path": "/etc/passwd"})),
        ("read", json!({"path": "../x"})),
        ("write", json!({"path": "/tmp/x", "content": ""})),
    ] {
        let answer = caller.post(&format!("/v1/files/{route}"), &body).await;
        assert_eq!(answer.error(), (403, "outside_roots".into()), "{body}");
    }
    // A relative path begins at the first root.
    assert_eq!(write(&caller, &json!({"path": "inside", "content": "x"})).await["ok"], true);
    assert_eq!(fs::read_to_string(root.0.join("inside")).unwrap(), "x");
}

struct Temporary(std::path::PathBuf);

fn tempdir() -> Temporary {
    let folder = Folder::new();
    let path = folder.path().with_extension("root");
    fs::create_dir_all(&path).unwrap();
    Temporary(path)
}

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}
