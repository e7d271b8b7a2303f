/** A request proxy with a fake page, tab and connection. */
import { RequestProxy } from "../../background/proxy.js";
import { extractorFor } from "../../platforms/index.js";
import { CLAUDE, Clock, FakePort } from "./fakes.js";

/**
 * Options: `page`: the result for the tab; `captured`: replayed headers; `filled`: the filled template; `platform`: another
 * one than Claude; `over`: another clock and link.
 */
export function makeProxy({ page, captured = {}, filled = null, platform = CLAUDE, over } = {}) {
  const clock = over?.clock ?? new Clock();
  const port = new FakePort(5);
  const frames = [];
  const rooms = [];
  const link = { connected: true, full: false, send: (text) => frames.push(JSON.parse(text)), room: () => (link.full ? new Promise((resolve) => rooms.push(resolve)) : undefined) };
  const refused = [];
  const judged = [];
  const templates = {
    fill: (name, prompt) => filled && { request: filled(prompt), template: "template" },
    accepted: (name, template) => judged.push(["accepted", name, template]),
    refused: (name, template, status) => judged.push(["refused", name, template, status]),
  };
  let mine = 0;
  const proxy = new RequestProxy({
    ...clock,
    link: over?.link ?? link,
    log: () => {},
    templates,
    extractorFor,
    replayedHeaders: () => captured,
    expectProxied: () => {
      mine += 1;
      return () => (mine -= 1);
    },
    refused: (name, status) => refused.push(status),
    failed: () => {},
    shells: { platform: (name) => (name === platform.platform ? platform : undefined) },
    tabs: { page: async () => (page === undefined ? { tabId: 5, port } : page) },
  });
  const ask = async (more = {}) => {
    await proxy.request({ type: "api_request", id: "r", platform: "claude", method: "GET", path: "/api/x", headers: {}, response_mode: "buffered", ...more });
    return port.sent.findLast((message) => message.t === "fetch");
  };
  /** Delivers a message of the page about its last request. */
  const say = (t, more = {}) => proxy.message(port, { t, id: port.sent.findLast((message) => message.t === "fetch")?.id, ...more });
  const head = (type = "application/json", status = 200) => say("head", { status, headers: { "content-type": type }, url: "https://claude.ai/api/x" });
  return { clock, port, frames, link, rooms, proxy, ask, say, head, refused, judged, mine: () => mine };
}
