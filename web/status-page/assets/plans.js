/** A batch of instructions as the deciding operator must see it: complete, with nothing hidden. Pure. */
import { ago, count, left, line, plain } from "./words.js";

/** Formats a value as text: a string as it is, anything else as JSON. */
const text = (value) => plain(typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "");

/** Flattens a plan into rows; nested fields are named by their path: `route.path`. */
function rows(value, name = "") {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object" || Array.isArray(value)) return [{ name: name || "plan", text: text(value) }];
  return Object.entries(value).flatMap(([key, inner]) => rows(inner, name ? `${name}.${line(key)}` : line(key)));
}

/** Returns the rows of what would run: the operation with its input, or any other fields. */
function planRows({ plan, params }) {
  if (plan === undefined || plan === null) return rows(params, "params");
  const { operation, input, ...more } = plan;
  const isUsual = operation !== undefined && typeof input === "object" && Object.keys(more).length === 0;
  return isUsual ? [...rows(operation, "operation"), ...rows(input)] : rows(plan);
}

/** Returns the sandbox of an instruction that accesses the machine. */
const confinement = ({ sandbox }) => (sandbox === "off" ? "no sandbox" : sandbox);

/** An instruction: its name, what would run, and the model's text. `repeated`: the ones that ran before. */
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

/** A batch. `detail`: the response of `GET /v1/instructions/{batch_id}`, once it has arrived. */
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
    /** The digest that an approval must contain: of exactly what is shown. Without it the batch cannot be approved. */
    digest: instructions === null ? null : detail.digest ?? null,
  };
}

/** The waiting batches, oldest first, so that new ones do not move the one being read. */
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
      when: `Requested ${ago(pairing.requested_at ?? now, now)}${pairing.expires_at ? `, expires in ${left(pairing.expires_at, now)}` : ""}.`,
    }));

/** The paired Firefoxes. */
export const pairedViews = (pairings, now) =>
  pairings
    .filter(({ status }) => status === "paired")
    .map((pairing) => ({
      key: pairing.client_id,
      client: line(pairing.client_id),
      when: pairing.approved_at ? `paired ${ago(pairing.approved_at, now)}` : "paired",
    }));
