/** Which platforms may be entered, and the content scripts of those that the manifest does not know. */
import { pagePattern, patterns } from "./hosts.js";

const ID = "baa-platform-";
let generation = 0;

/** The platforms whose hosts are all permitted. */
export async function permitted(browser, platforms) {
  const answers = await Promise.all(
    platforms.map((platform) => browser.permissions.contains({ origins: patterns(platform) }).catch(() => false)),
  );
  return platforms.filter((_, at) => answers[at]);
}

/** The match patterns that the manifest's own content scripts cover. */
const builtIn = (browser) => new Set(browser.runtime.getManifest().content_scripts.flatMap((script) => script.matches));

/**
 * Registers the content scripts of permitted platforms that the manifest does not cover, and no others: in the pages of
 * the shell's host, since what other hosts show counts for nothing.
 * @returns {Promise<string[]>} the match patterns that are new since the last time
 */
export async function registerScripts(browser, platforms) {
  const covered = builtIn(browser);
  const matches = [...new Set(platforms.map(pagePattern))].filter((pattern) => !covered.has(pattern)).sort();
  const before = (await browser.scripting.getRegisteredContentScripts()).filter((script) => script.id.startsWith(ID));
  const known = before.flatMap((script) => script.matches);
  const isSame = (script) => script.matches.length === matches.length && matches.every((pattern) => script.matches.includes(pattern));
  // At each greeting this is asked; between taking away and putting in, pages would load without.
  if (before.length === (matches.length > 0 ? 2 : 0) && before.every(isSame)) return [];
  if (matches.length > 0) {
    const used = new Set(before.map((script) => script.id));
    do generation += 1;
    while (used.has(`${ID}page-${generation}`) || used.has(`${ID}bridge-${generation}`));
    const script = (part, world) => ({
      id: `${ID}${part}-${generation}`,
      matches,
      js: part === "bridge" ? ["content/typed.js", "content/bridge.js"] : ["content/page.js"],
      runAt: "document_start",
      persistAcrossSessions: false,
      ...world,
    });
    // In the order they must run in.
    await browser.scripting.registerContentScripts([script("page", { world: "MAIN" }), script("bridge", {})]);
  }
  if (before.length > 0) await browser.scripting.unregisterContentScripts({ ids: before.map((script) => script.id) });
  return matches.filter((pattern) => !known.includes(pattern));
}
