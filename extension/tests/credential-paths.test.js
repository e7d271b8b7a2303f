import assert from "node:assert/strict";
import test from "node:test";
import { isCredentialPath } from "../background/credential-paths.js";
import { CLAUDE } from "./support/fakes.js";

const PLATFORM = { ...CLAUDE, credential_paths: ["/api/auth/*", "/backend-api/ws/user", "/tok*", "/here"] };

test("every spelling of a credential path is that path", () => {
  for (const path of [
    "/api/auth/session", "/api/auth/", "/api/auth", "/api/auth/session?x=/", "/api/auth/session#x", "/API/Auth/Session", "/api//auth/session",
    "/api/./auth/session", "/api/x/../auth/session", "/api/x/%2e%2e/auth/session", "/api/%61uth/session", "/api/%2561uth/session",
    "/api/%25252561uth/session", "/api/%6%31uth/session", "/api%2fauth%2Fsession", "/api%5cauth/session", "/api/x%2f..%2fauth/session",
    "/api;x=1/auth;y/session", "/api/auth%3fx", "/api/auth%00", "/api/auth%00%2f..%2fx", "/api/auth%20/session", "/api./auth/session",
    "/x%3f%2f..%2fapi/auth/session", "/api/auth/session%2f..%2f..%2f..%2fx", "/backend-api/ws/user", "/backend-api/ws/user/",
    "/backend-api/ws/user%2f..%2fother", "/backend-api/ws/user;x/other", "/token", "/here/", "https://api.claude.ai/api/auth/session",
  ]) {
    assert.ok(isCredentialPath(PLATFORM, new URL(path, "https://claude.ai/").href), path);
  }
});

test("other paths are not credential paths", () => {
  for (const path of [
    "/", "/api", "/api/authors", "/v1/api/auth/session", "/api/auth/../x", "/api/x?next=/api/auth/session", "/api/x#/api/auth/session",
    "/backend-api/ws/user/of", "/backend-api/ws/users", "/hereafter", "/api/%zzauth/session", "/ünï/api/auth",
  ]) {
    assert.ok(!isCredentialPath(PLATFORM, new URL(path, "https://claude.ai/").href), path);
  }
  assert.ok(!isCredentialPath({ ...CLAUDE, credential_paths: undefined }, "https://claude.ai/api/auth/session"), "of an older daemon");
});
