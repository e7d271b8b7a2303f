//! Names of roots, and of files that a sandbox is made of, that a confined command changes.

use crate::{
    exec::{ANY_USER, run},
    support::{Caller, Daemon, Folder, skipped},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

const SECRET: &str = "SECRET";

/// A daemon with roots within a folder that contains other files beside them.
struct Scene {
    _daemon: Daemon,
    caller: Caller,
    base: PathBuf,
    sandbox: String,
}

impl Scene {
    async fn start(sandbox: &str, roots: &[&str], path: Option<&str>) -> Self {
        let folder = Folder::new();
        let base = folder.path().canonicalize().unwrap();
        for name in ["w/sub", "alone", "beside"] {
            fs::create_dir_all(base.join(name)).unwrap();
        }
        fs::write(base.join("beside/secret"), SECRET).unwrap();
        fs::write(base.join("alone/own"), "own").unwrap();
        symlink(base.join("alone"), base.join("linked")).unwrap();
        let roots: Vec<_> = roots.iter().map(|root| base.join(root)).collect();
        let mut command =
            folder.command(&format!("{ANY_USER}host_ops.sandbox = {sandbox:?}\nhost_ops.roots = {roots:?}"));
        let usual = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", path.map_or(usual.clone(), |path| format!("{}:{usual}", base.join(path).display())));
        let daemon = Daemon::spawn(folder, command).await;
        let caller = daemon.caller().bearer(&daemon.token());
        Scene { _daemon: daemon, caller, base, sandbox: sandbox.to_owned() }
    }

    async fn is_to_be_had(&self) -> bool {
        let there = self.caller.get("/describe/control").await.data()["host_operations"]["sandbox_available"] == true;
        if !there {
            skipped(&format!("this system has no {}", self.sandbox));
        }
        there
    }

    async fn reads(&self, path: &Path) -> Value {
        self.caller.post("/v1/files/read", &json!({"path": path})).await.json()
    }

    /// Checks that nothing beside the roots can be read through this path, by a file operation or a command.
    async fn keeps(&self, path: &Path) {
        let read = self.reads(&path.join("secret")).await.to_string();
        assert!(!read.contains(SECRET), "{}: {read}", self.sandbox);
        if self.sandbox != "off" {
            let command = json!({"command": format!("cat {}/secret; echo x > {0}/made", path.display()), "cwd": "/"});
            let answer = self.caller.post("/v1/exec", &command).await.json().to_string();
            assert!(!answer.contains(SECRET), "{}: {answer}", self.sandbox);
        }
        assert!(!self.base.join("beside/made").exists(), "{}", self.sandbox);
    }
}

#[actix_rt::test]
async fn a_root_within_another_that_a_command_swaps_leads_nowhere() {
    for sandbox in ["off", "landlock", "bubblewrap"] {
        for roots in [["w", "w/sub"], ["w/sub", "w"]] {
            let scene = Scene::start(sandbox, &roots, None).await;
            if !scene.is_to_be_had().await {
                continue;
            }
            let sub = scene.base.join("w/sub");
            let command = format!("mv {0} {0}.gone; ln -s {1} {0}", sub.display(), scene.base.join("beside").display());
            assert_eq!(run(&scene.caller, json!({"command": command, "cwd": "/"})).await["ok"], true, "{sandbox}");
            assert!(sub.is_symlink());
            scene.keeps(&sub).await;
        }
    }
}

#[actix_rt::test]
async fn a_root_that_is_replaced_leads_nowhere() {
    for sandbox in ["off", "landlock", "bubblewrap"] {
        let scene = Scene::start(sandbox, &["alone"], None).await;
        if !scene.is_to_be_had().await {
            continue;
        }
        let root = scene.base.join("alone");
        fs::rename(&root, scene.base.join("gone")).unwrap();
        symlink(scene.base.join("beside"), &root).unwrap();
        scene.keeps(&root).await;
        if sandbox != "off" {
            let refused = scene.caller.post("/v1/exec", &json!({"command": "true", "cwd": "/"})).await;
            assert_eq!(refused.error(), (503, "sandbox_unavailable".into()));
        }
        // A folder in its place is another folder too.
        fs::remove_file(&root).unwrap();
        fs::rename(scene.base.join("beside"), &root).unwrap();
        scene.keeps(&root).await;
        fs::rename(&root, scene.base.join("beside")).unwrap();
        // When the original is back, everything works as before.
        fs::rename(scene.base.join("gone"), &root).unwrap();
        assert_eq!(scene.reads(&root.join("own")).await["data"]["result"]["content"], "own");
        assert_eq!(run(&scene.caller, json!({"command": "true"})).await["ok"], true, "{sandbox}");
    }
}

#[actix_rt::test]
async fn a_root_that_is_configured_by_a_link_is_what_the_link_was_at_the_start() {
    let scene = Scene::start("landlock", &["linked"], None).await;
    if !scene.is_to_be_had().await {
        return;
    }
    let link = scene.base.join("linked");
    assert_eq!(scene.reads(&link.join("own")).await["data"]["result"]["content"], "own");
    fs::remove_file(&link).unwrap();
    symlink(scene.base.join("beside"), &link).unwrap();
    scene.keeps(&link).await;
    assert_eq!(scene.reads(&link.join("own")).await["data"]["result"]["content"], "own");
}

#[actix_rt::test]
async fn bubblewrap_is_the_one_of_the_start_and_never_one_beneath_a_root() {
    let scene = Scene::start("bubblewrap", &["w"], Some("w/sub")).await;
    if !scene.is_to_be_had().await {
        return;
    }
    let own = scene.base.join("w/sub/bwrap");
    let script = format!("#!/bin/sh\ncat {0}/beside/secret > {0}/w/stolen\n", scene.base.display());
    let make = json!({"path": own, "content": script, "mode": "0755"});
    assert_eq!(scene.caller.post("/v1/files/write", &make).await.data()["ok"], true);
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(run(&scene.caller, json!({"command": "true"})).await["ok"], true);
    assert!(!scene.base.join("w/stolen").exists());
}
