/** A batch of instructions as the one who decides must see it: all of it, with nothing hidden. Pure. */
import { ago, count, left, line, plain } from "./words.js";

/** Any value as text: a string as it is, anything else as JSON. */
const text = (value) => plain(typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "");

/** A plan's parts, one row each; what is within is named with its way: `route.path`. */
function rows(value, name = "") {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object" || Array.isArray(value)) return [{ name: name || "plan", text: text(value) }];
  return Object.entries(value).flatMap(([key, inner]) => rows(inner, name ? `${name}.${line(key)}` : line(key)));
}

/** What would run, part by part: the operation with its input, or whatever else stands there. */
function planRows({ plan, params }) {
  if (plan === undefined || plan === null) return rows(params, "params");
  const { operation, input, ...more } = plan;
  const isUsual = operation !== undefined && typeof input === "object" && Object.keys(more).length === 0;
  return isUsual ? [...rows(operation, "operation"), ...rows(input)] : rows(plan);
}

/** What it runs in, where it reaches the machine. */
const confinement = ({ sandbox }) => (sandbox === "off" ? "no sandbox" : sandbox);

/** One instruction: what it is called, what would run, and what the model wrote. `repeated`: which ran before. */
function instructionView(instruction, index, repeated) {
  const { target, tool, raw_block, instruction_id, block_index } = instruction;
  const isRepeated = repeated.some((other) => other.instruction_id === instruction_id && other.block_index === block_index);
  return {
    key: `${index} ${instruction_id}`,
    title: `${index + 1}. ${line(target)}::${line(tool)}${isRepeated ? " was taken on before and does not run again" : ""}`,
    rows: [...planRows(instruction), ...rows(confinement(instruction), "runs in")],
    raw: text(raw_block ?? ""),
  };
}

const ORIGINS = { live: "A model asked for this by itself", http: "A caller asked for this" };

/** A batch. `detail`: what `GET /v1/instructions/{batch_id}` says of it, once it is there. */
export function batchView(batch, detail, now) {
  const instructions = detail?.instructions ?? null;
  const where = [batch.platform, batch.conversation_id && `conversation ${batch.conversation_id}`, batch.client_id && `in ${batch.client_id}`];
  const from = where.filter(Boolean).map(line).join(", ");
  const told = ORIGINS[batch.origin] ?? "Asked for";
  return {
    key: batch.batch_id,
    title: instructions === null ? "Instructions" : count(instructions.length, "instruction"),
    from: `${told} ${ago(batch.created_at ?? now, now)}: ${from}${batch.reason ? `; it waits because ${line(batch.reason)}` : ""}`,
    expires: typeof batch.expires_at === "number" && batch.expires_at > now ? `Expires in ${left(batch.expires_at, now)}.` : "",
    instructions: instructions?.map((each, index) => instructionView(each, index, detail.duplicates ?? [])) ?? null,
    /** What an approval holds for: exactly what is shown. Without it nothing can be approved. */
    digest: instructions === null ? null : detail.digest ?? null,
  };
}

/** The batches that wait, the oldest first: what comes while somebody reads must not move what is read. */
export function batchViews(batches, details, now) {
  const sorted = [...batches].sort((a, b) => (a.created_at ?? 0) - (b.created_at ?? 0));
  return sorted.map((batch) => batchView(batch, details.get(batch.batch_id), now));
}

/** A Firefox that waits for pairing. */
export const pairingViews = (pairings, now) =>
  pairings
    .filter(({ status, expires_at }) => status === "waiting" && !(expires_at <= now))
    .map((pairing) => ({
      key: pairing.client_id,
      client: line(pairing.client_id),
      origin: pairing.origin ? line(pairing.origin) : "no extension",
      when: `Asked ${ago(pairing.requested_at ?? now, now)}${pairing.expires_at ? `, for another ${left(pairing.expires_at, now)}` : ""}.`,
    }));

/** The Firefoxes that are paired. */
export const pairedViews = (pairings, now) =>
  pairings
    .filter(({ status }) => status === "paired")
    .map((pairing) => ({
      key: pairing.client_id,
      client: line(pairing.client_id),
      when: pairing.approved_at ? `paired ${ago(pairing.approved_at, now)}` : "paired",
    }));
