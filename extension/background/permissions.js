/** Host permissions of platforms, and the content scripts of those that the manifest does not cover. */
import { pagePattern, patterns } from "./hosts.js";

const ID = "baa-platform-";
let generation = 0;

/** Returns the platforms whose hosts are all permitted. */
export async function permitted(browser, platforms) {
  const answers = await Promise.all(
    platforms.map((platform) => browser.permissions.contains({ origins: patterns(platform) }).catch(() => false)),
  );
  return platforms.filter((_, at) => answers[at]);
}

/** Returns the match patterns of the manifest's content scripts. */
const builtIn = (browser) => new Set(browser.runtime.getManifest().content_scripts.flatMap((script) => script.matches));

/**
 * Registers content scripts for the permitted platforms that the manifest does not cover, in pages of the shell's host
 * only, and removes others.
 * @returns {Promise<string[]>} the match patterns added by this call
 */
export async function registerScripts(browser, platforms) {
  const covered = builtIn(browser);
  const matches = [...new Set(platforms.map(pagePattern))].filter((pattern) => !covered.has(pattern)).sort();
  const before = (await browser.scripting.getRegisteredContentScripts()).filter((script) => script.id.startsWith(ID));
  const known = before.flatMap((script) => script.matches);
  const isSame = (script) => script.matches.length === matches.length && matches.every((pattern) => script.matches.includes(pattern));
  // Unchanged scripts stay registered, because a page that loads meanwhile would have none.
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
    // In the order in which they must run.
    await browser.scripting.registerContentScripts([script("page", { world: "MAIN" }), script("bridge", {})]);
  }
  if (before.length > 0) await browser.scripting.unregisterContentScripts({ ids: before.map((script) => script.id) });
  return matches.filter((pattern) => !known.includes(pattern));
}
