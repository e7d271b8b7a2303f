/** Checks of shell pages, and the `shell_runtime` object: desired state, actual state and drift of a shell tab. Pure. */
import { isOnPlatform } from "./hosts.js";

/** Whether `url` has the origin of the platform's shell; pages of subdomains are not shell pages. */
export function isShellPage(platform, url) {
  return URL.canParse(url ?? "") && isOnPlatform(platform, url) && new URL(url).origin === new URL(platform.shell_url).origin;
}

/**
 * Whether the page behind a port is of the platform's shell, according to the browser. A sandboxed document has the
 * address, but an opaque origin.
 */
export function isShellSender(platform, { url, origin }) {
  return isShellPage(platform, url) && (origin === undefined || origin === new URL(platform.shell_url).origin);
}

/** Whether a document of the shell made a request: in the tab itself, or in a frame whose ancestors are all shell pages. */
export function isRequestOfShell(platform, { documentUrl, originUrl, frameAncestors }) {
  return [documentUrl, originUrl, ...(frameAncestors ?? []).map(({ url }) => url)].every((url) => isShellPage(platform, url));
}

/**
 * Whether an answer from `url` may contain a final message: from the shell's origin, or from one of `answer_hosts`. Other
 * subdomains may belong to other parties.
 */
export function isAnswerHost(platform, url) {
  if (isShellPage(platform, url)) return true;
  if (!URL.canParse(url ?? "")) return false;
  const [{ protocol, port, hostname, username, password }, shell] = [new URL(url), new URL(platform.shell_url)];
  const isOfScheme = protocol === shell.protocol || protocol === shell.protocol.replace("http", "ws");
  return isOfScheme && port === shell.port && username === "" && password === "" && (platform.answer_hosts ?? []).includes(hostname);
}

/** Returns the issue of a tab; "none" if there is none. */
export function issueOf({ platform, permitted, tab, crashed, ready, begun }) {
  if (!permitted) return "permission_missing";
  if (tab === undefined) return "none";
  if (crashed) return "crashed";
  if (tab.discarded) return "discarded";
  // A new tab is empty before it loads.
  if (!begun && (tab.url ?? "about:blank") === "about:blank") return "loading";
  if (!isShellPage(platform, tab.url)) return tab.status === "loading" ? "loading" : "navigated_away";
  if (!ready) return tab.status === "loading" ? "loading" : "not_ready";
  return "none";
}

const REASONS = { crashed: "tab_crashed", discarded: "tab_discarded", navigated_away: "navigated_away", not_ready: "not_ready" };

/**
 * Returns the address of a tab as reported: without query and fragment, which may contain secrets; of another site only
 * the origin.
 */
export function placeOf(platform, url) {
  if (url === undefined || !URL.canParse(url)) return undefined;
  const { origin, protocol, pathname } = new URL(url);
  if (origin === "null") return protocol;
  return isOnPlatform(platform, url) ? `${origin}${pathname}` : origin;
}

/** Returns the `shell_runtime` object of a platform. */
export function describe(state) {
  const { platform, desired, tab, lost, candidate, permitted, stuck } = state;
  const issue = issueOf(state);
  const exists = tab !== undefined;
  const healthy = exists && issue === "none";
  // A page that is not ready yet is broken only after the timeout.
  const broken = exists && REASONS[issue] !== undefined && (issue !== "not_ready" || stuck);
  // Without the permission nothing can be restored, but the tab is not aligned either.
  const needsRestore = desired.exists && permitted && (!exists || broken);
  const aligned = !needsRestore && (permitted || !desired.exists);
  const reason = !permitted ? "permission_missing" : exists ? REASONS[issue] : (lost ?? "tab_missing");
  return {
    platform: platform.platform,
    desired: {
      exists: desired.exists,
      shell_url: platform.shell_url,
      source: desired.source,
      reason: desired.reason,
      updated_at: desired.updated_at,
      last_action: desired.last_action,
      last_action_at: desired.last_action_at,
    },
    actual: {
      exists,
      tab_id: tab?.id,
      url: placeOf(platform, tab?.url),
      title: isOnPlatform(platform, tab?.url ?? "") ? tab.title : undefined,
      window_id: tab?.windowId,
      active: tab?.active,
      status: tab?.status,
      discarded: tab?.discarded,
      hidden: tab?.hidden,
      healthy,
      issue,
      last_seen_at: state.lastSeenAt,
      last_ready_at: state.lastReadyAt,
      candidate_tab_id: candidate?.id,
      candidate_url: placeOf(platform, candidate?.url),
    },
    drift: {
      aligned,
      needs_restore: needsRestore,
      unexpected_actual: false,
      reason: aligned ? undefined : reason,
    },
  };
}
