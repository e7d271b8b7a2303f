// What a hostile script tries against the daemon, from wherever it runs. Answers with the outcome of each attempt:
// `[name, "read …"]` where it read an answer, `[name, "opened"]` where a socket opened. `referrer`: the page that it
// poses as, where the browser lets it.
async function attack(daemon, socket, referrer) {
  const found = [];
  const attempt = async (name, act) => {
    try {
      found.push([name, (await act()) ?? "nothing"]);
    } catch (error) {
      found.push([name, `failed: ${error.name}`]);
    }
  };
  const soon = (start) =>
    Promise.race([new Promise(start), new Promise((done) => setTimeout(done, 3000, "nothing in time"))]);
  const request = JSON.stringify({ platform: "claude", path: "/api/stolen", request_id: "stolen" });
  const calls = [
    ["GET", "/v1/browser", null],
    ["GET", "/v1/status", null],
    ["GET", "/v1/browser/messages", null],
    ["GET", "/health", null],
    ["HEAD", "/v1/browser", null],
    ["POST", "/v1/system/pause", "{}"],
    ["POST", "/v1/browser/request", request],
    ["POST", "/v1/browser/actions", JSON.stringify({ action: "tab_open", platform: "claude" })],
    ["DELETE", "/v1/session", null],
  ];
  const types = ["text/plain", "application/x-www-form-urlencoded", "application/json"];
  for (const mode of ["cors", "no-cors", "same-origin"]) {
    for (const [method, path, body] of calls) {
      for (const type of body === null ? [null] : types) {
        await attempt(`fetch ${mode} ${method} ${path} ${type}`, async () => {
          const headers = type === null ? {} : { "content-type": type };
          const pose = referrer === "" ? {} : { referrer };
          const answer = await fetch(daemon + path, { method, mode, body, headers, credentials: "include", ...pose });
          // An opaque answer says nothing, not even its status.
          if (answer.type === "opaque" || answer.status === 0) return "opaque";
          return `read ${answer.status} ${await answer.text()}`;
        });
      }
    }
  }
  await attempt("fetch with no referrer", async () => {
    const answer = await fetch(daemon + "/v1/browser", { referrerPolicy: "no-referrer" });
    return `read ${answer.status} ${await answer.text()}`;
  });
  await attempt("XMLHttpRequest", () =>
    soon((done) => {
      const call = new XMLHttpRequest();
      call.open("POST", daemon + "/v1/system/pause");
      call.onload = () => done(`read ${call.status} ${call.responseText}`);
      call.onerror = () => done("failed");
      call.send("{}");
    }),
  );
  await attempt("WebSocket", () =>
    soon((done) => {
      const line = new WebSocket(socket);
      line.onopen = () => {
        line.send(JSON.stringify({ type: "hello", client_id: "hostile" }));
        done("opened");
      };
      line.onerror = () => done("failed");
    }),
  );
  await attempt("EventSource", () =>
    soon((done) => {
      const events = new EventSource(daemon + "/v1/events");
      events.onopen = () => done("opened");
      events.onerror = () => {
        events.close();
        done("failed");
      };
    }),
  );
  await attempt("beacon", () => {
    navigator.sendBeacon(daemon + "/v1/browser/request", request);
    navigator.sendBeacon(daemon + "/v1/system/pause", new Blob(["{}"], { type: "text/plain" }));
  });
  if (!document.body || location.protocol === "moz-extension:") return found;
  const element = (name, set) =>
    soon((done) => {
      const made = document.createElement(name);
      made.onload = () => done(made);
      made.onerror = () => done("failed");
      set(made);
      document.body.append(made);
    });
  await attempt("frame", async () => {
    const frame = await element("iframe", (made) => (made.src = daemon + "/v1/browser"));
    const inner = frame.contentDocument;
    return inner === null || inner === undefined ? "nothing" : `read ${inner.body.textContent}`;
  });
  await attempt("image", async () => {
    const image = await element("img", (made) => (made.src = daemon + "/v1/browser"));
    return image === "failed" ? "failed" : `read ${image.width}`;
  });
  await attempt("script", async () => {
    const script = await element("script", (made) => (made.src = daemon + "/v1/browser"));
    return script === "failed" ? "failed" : "nothing";
  });
  for (const [name, type] of [["text", "text/plain"], ["plain", "application/x-www-form-urlencoded"], ["file", "multipart/form-data"]]) {
    for (const path of ["/v1/system/pause", "/v1/browser/request"]) {
      await attempt(`form of ${name} to ${path}`, async () => {
        const target = document.createElement("iframe");
        target.name = `target-${name}-${path}`;
        document.body.append(target);
        const form = document.createElement("form");
        Object.assign(form, { method: "POST", enctype: type, action: daemon + path, target: target.name });
        const field = document.createElement("input");
        // As text: {"platform":"claude","path":"/api/stolen","x":"="}
        [field.name, field.value] = ['{"platform":"claude","path":"/api/stolen","x":"', '"}'];
        form.append(field);
        document.body.append(form);
        const loaded = soon((done) => (target.onload = () => done()));
        form.submit();
        await loaded;
        return target.contentDocument?.body?.textContent ? `read ${target.contentDocument.body.textContent}` : "nothing";
      });
    }
  }
  return found;
}
