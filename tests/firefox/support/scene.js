() => {
  const real = window.fetch.bind(window);
  const now = Date.now();
  const instruction = (index, tool, params, body) => ({instruction_id: `inst_${index}`, target: "conductor", tool, params,
      raw_block: `@conductor::${tool}::${typeof params === "string" ? params : JSON.stringify(params)}`,
      plan: {operation: tool.replace("/", "_"), input: body}});
  const batch = {batch_id: "batch-1", status: "pending_approval", origin: "live", platform: "claude", conversation_id: "conv-7",
      client_id: "firefox-desk", created_at: now - 70_000, expires_at: now + 3_530_000, digest: "sha256:shown", reason: "an instruction needs approval"};
  const instructions = [instruction(0, "exec", "git -C ~/notes status --short", {command: "git -C ~/notes status --short", cwd: null, env: {}, stdin: null, timeout_ms: 30_000, max_output_bytes: 1_048_576}),
      instruction(1, "files/write", {path: "notes/rivers.md", content: "# Rivers\n\nElbe, Oder\n"}, {path: "notes/rivers.md", cwd: null, content: "# Rivers\n\nElbe, Oder\n", encoding: "utf8", overwrite: false})];
  const decided = () => sent.some(({path}) => path.endsWith("/approve"));
  const answers = {
    "/v1/instructions": () => ({batches: decided() ? [] : [batch]}),
    "/v1/instructions/batch-1": () => ({...batch, instructions}),
    "/v1/browser/pairings": () => ({pairings: [{client_id: "firefox-laptop", status: "waiting", origin: "moz-extension://6a1c63d7-0d2e-4f3b-9d53-0f6de0ad2c11", requested_at: now - 20_000, expires_at: now + 280_000}]}),
  };
  const past = Array.from({length: 90}, (_, index) => {
    const at = now - 20_000 - index * 9_000 - (index % 7) * 900;
    const took = 600 + (index * 7919) % 2_400 + (index % 11 === 0 ? 6_000 : 0);
    const ok = index % 23 !== 5;
    return {request_id: `req_past_${index}`, platform: index % 3 === 0 ? "chatgpt" : "claude", client_id: "firefox-desk",
        method: "POST", path: index % 3 === 0 ? "/backend-api/conversation" : "/api/organizations/org-1/chat_conversations/conv-7/completion",
        response_mode: "sse", phase: "done", outcome: ok ? "success" : "failure", error_code: ok ? undefined : "stream_idle_timeout",
        status: ok ? 200 : 504, requested_at: at - took, finished_at: at, event_count: 40 + index % 30, bytes: 5_000 + index * 37};
  });
  const sent = window.sent = [];
  const say = (data) => new Response(JSON.stringify({ok: true, data}), {headers: {"content-type": "application/json"}});
  window.fetch = async (path, options) => {
    const [place] = path.split("?");
    if (options.method === "POST" && (place.startsWith("/v1/instructions/") || place.startsWith("/v1/browser/pairings/"))) {
      sent.push({path: place, body: JSON.parse(options.body)});
      return say({});
    }
    if (answers[place]) return say(answers[place]());
    if (place !== "/v1/browser/requests") return real(path, options);
    const answer = await (await real(path, options)).json();
    answer.data.requests.push(...past);
    return say(answer.data);
  };
}
