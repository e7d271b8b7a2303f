/** The two plots. The library, loaded as a script before this module, draws on a canvas; text beside it states the same. */
import { at, say } from "./dom.js";
import { plotted, totals } from "./series.js";
import { count, took } from "./words.js";

const { uPlot } = globalThis;
const HEIGHT = 150;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** Returns a colour of the page's style. */
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function axis(values, size) {
  return { stroke: ink("--faint"), grid: { stroke: ink("--grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif", gap: 4, size, values };
}

/** Returns an axis maximum above all values, never zero. */
const upTo = (least) => (_, __, most) => [0, Math.max(least, (most ?? 0) * 1.1)];

function plot(place, series, range, values) {
  const options = {
    width: Math.max(200, place.clientWidth),
    height: HEIGHT,
    pxAlign: 0,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true }, y: { range } },
    axes: [
      { ...axis((_, times) => times.map((time) => clock.format(time * 1_000)), 24), space: 60 },
      { ...axis((_, numbers) => numbers.map(values), 56), space: 28 },
    ],
    series: [{}, ...series],
  };
  return new uPlot(options, [[], [], []], place);
}

export class Charts {
  #plots = null;

  constructor() {
    const again = () => this.#clear();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    new ResizeObserver(() => this.#fit()).observe(at("throughput"));
  }

  /** Draws the series. `now`: the daemon's clock. */
  draw(series, now) {
    this.#say(series, now);
    this.#plots ??= this.#made();
    const rows = plotted(series, now);
    this.#plots.throughput.setData([rows.times, rows.ended, rows.failed]);
    this.#plots.latency.setData([rows.times, rows.median, rows.most]);
  }

  #say(series, now) {
    const { ended, failed, median, most } = totals(series, now);
    say(at("throughput-words"), `${count(ended, "request")} ended, ${failed} of them failed.`);
    say(at("latency-words"), median === null ? "Nothing to measure yet." : `Half within ${took(median)}, 95th percentile ${took(most)}.`);
  }

  #made() {
    const stepped = uPlot.paths.stepped({ align: 1 });
    const line = (colour, more) => ({ stroke: ink(colour), width: 2, spanGaps: true, points: { show: true, size: 5, fill: ink(colour) }, ...more });
    return {
      throughput: plot(
        at("throughput"),
        [
          { stroke: ink("--accent"), fill: ink("--accent-wash"), width: 2, paths: stepped, points: { show: false } },
          { stroke: ink("--bad"), width: 2, dash: [4, 3], paths: stepped, points: { show: false } },
        ],
        upTo(4),
        (number) => String(Math.round(number)),
      ),
      latency: plot(at("latency"), [line("--accent"), line("--violet", { dash: [4, 3] })], upTo(100), took),
    };
  }

  #clear() {
    for (const each of Object.values(this.#plots ?? {})) each.destroy();
    this.#plots = null;
  }

  #fit() {
    for (const [name, each] of Object.entries(this.#plots ?? {})) {
      const width = Math.max(200, at(name).clientWidth);
      if (width !== each.width) each.setSize({ width, height: HEIGHT });
    }
  }
}
