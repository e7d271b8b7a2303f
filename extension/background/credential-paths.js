/**
 * Recognizes paths of a platform that return credentials, by the registry's `credential_paths`. Pure. The daemon applies
 * the same rules (`src/platforms/credential_paths.rs`): a path matches if any server could read it as one of them.
 */

const HEX = /^[0-9a-f]{2}$/i;
const AROUND = /^[\0-\x20\x7f]+|[\0-\x20\x7f]+$/g;

/** Returns a path with all escapes decoded, repeatedly; `\` becomes `/`, letters become lower case. */
function decoded(path) {
  const found = [];
  for (const character of path) {
    found.push(character);
    // A decoded character may complete another escape.
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

/** Whether the address is, or may be read as, one of the platform's `credential_paths`. */
export function isCredentialPath(platform, address) {
  const entries = platform.credential_paths ?? [];
  if (entries.length === 0) return false;
  // More segments than this match no entry.
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
