/**
 * Which paths of a platform hand out credentials, by the registry's `credential_paths`. Pure. The daemon judges the same
 * way (`src/platforms/credential_paths.rs`): by the loosest reading that a server may have of a path.
 */

const HEX = /^[0-9a-f]{2}$/i;
const AROUND = /^[\0-\x20\x7f]+|[\0-\x20\x7f]+$/g;

/** A path with every escape undone, also those that come of undoing others; `\` is `/`, capitals are small. */
function decoded(path) {
  const found = [];
  for (const character of path) {
    found.push(character);
    // What an escape becomes may end another one.
    while (found.at(-3) === "%" && HEX.test(found.at(-2) + found.at(-1))) {
      const code = Number.parseInt(found.at(-2) + found.at(-1), 16);
      found.splice(-3, 3, String.fromCharCode(code));
    }
  }
  return found.join("").replace(/\\/g, "/").replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function covers(entry, segments) {
  const plain = `/${segments.join("/")}`;
  const text = entry.toLowerCase();
  if (!text.endsWith("*")) return plain === text;
  return `${plain}/` === text.slice(0, -1) || plain.startsWith(text.slice(0, -1));
}

/** Whether the address asks for something that is, or may be taken for, one of the platform's `credential_paths`. */
export function isCredentialPath(platform, address) {
  const entries = platform.credential_paths ?? [];
  if (entries.length === 0) return false;
  // No entry has more segments than this that matter.
  const depth = 1 + Math.max(...entries.map((entry) => entry.split("/").length));
  const segments = [];
  const isOne = () => entries.some((entry) => covers(entry, segments.slice(0, depth)));
  for (const segment of decoded(new URL(address).pathname).split("/")) {
    const end = segment.search(/[;?#\0]/);
    const name = (end < 0 ? segment : segment.slice(0, end)).replace(AROUND, "");
    if (name === "..") {
      if (isOne()) return true;
      segments.pop();
    } else if (/[^.]/.test(name)) {
      segments.push(name.replace(/\.+$/, ""));
    }
    if (end >= 0 && isOne()) return true;
  }
  return isOne();
}
