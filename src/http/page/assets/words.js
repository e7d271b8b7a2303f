/** Numbers, times and texts from elsewhere, as people read them. Pure. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span of time, rounded down: "850 ms", "41 s", "3 min", "2 h 5 min", "3 d". */
export function span(ms) {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) {
    const minutes = Math.floor((ms % HOUR) / MINUTE);
    return `${Math.floor(ms / HOUR)} h${minutes === 0 ? "" : ` ${minutes} min`}`;
  }
  return `${Math.floor(ms / DAY)} d`;
}

/** How long something took, with as many digits as matter: "12 ms", "1.24 s", "41.2 s", "3 min 5 s". */
export function took(ms) {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(2)} s`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`;
  return `${Math.floor(ms / MINUTE)} min ${Math.floor((ms % MINUTE) / SECOND)} s`;
}

/** What is left until then, in whole seconds rounded up; never less than one. */
export const left = (until, now) => span(Math.max(SECOND, Math.ceil((until - now) / SECOND) * SECOND));

/** How long ago something was; what has just been, or is to be, is "just now". */
export const ago = (at, now) => (now - at < 5 * SECOND ? "just now" : `${span(now - at)} ago`);

/** "1 request", "2 requests". */
export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** A code as words. */
export const spoken = (code) => String(code).replaceAll("_", " ");

/** An error of the policy or the journal as people know it: a status is known as one. */
export const error = (code) => (/^http_\d{3}$/.test(code) ? `HTTP ${code.slice(5)}` : spoken(code));

/** Bytes, in the unit that fits. */
export function bytes(number) {
  if (number < 1_024) return `${number} B`;
  if (number < 1_024 ** 2) return `${(number / 1_024).toFixed(1)} KiB`;
  return `${(number / 1_024 ** 2).toFixed(1)} MiB`;
}

// Marks that show nothing, that turn text round, or that look like a blank: in a command they could hide what it does.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

/** A text in which nothing is hidden: every mark that shows nothing is spelled out, but for line ends and tabs. */
export function plain(text) {
  return text.replace(HIDDEN, (mark) => (mark === "\n" || mark === "\t" ? mark : `\\u{${mark.codePointAt(0).toString(16)}}`));
}

/** The same on one line. */
export const line = (text) => plain(String(text)).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
