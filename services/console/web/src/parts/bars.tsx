// A bar chart of counts, and the same as a table: for screen readers, and for whoever wants the numbers.
import { number } from "../texts";
import { t } from "./bars.texts";

/** One bar. */
export interface Bar {
  label: string;
  /** null: fewer than the threshold. */
  value: number | null;
  /** false: there may be more, which can't be told. */
  whole?: boolean;
}

const WIDTH = 600;
const HEIGHT = 150;
const FOOT = 26;
/** What is too few to be told is this high: it is not zero, and not a number either. */
const STUB = 5;
const LABELS = 4;

/** A count in words: «fewer than 5» is no number. */
export function told(value: number | null, least: number, whole = true, digits = 0): string {
  if (value === null) return t("few", { least });
  return whole ? number(value, digits) : t("least", { count: number(value, digits) });
}

export function Bars({ title, bars, least, digits = 0 }: {
  title: string;
  bars: readonly Bar[];
  least: number;
  digits?: number;
}) {
  const most = Math.max(least, ...bars.map((bar) => bar.value ?? 0));
  const wide = WIDTH / Math.max(1, bars.length);
  const every = Math.max(1, Math.ceil(bars.length / LABELS));
  return (
    <figure class="chart card">
      <figcaption>{title}</figcaption>
      {bars.length === 0 ? (
        <p class="note">{t("none")}</p>
      ) : (
        <>
          <svg viewBox={`0 0 ${WIDTH} ${HEIGHT + FOOT}`} role="img" aria-label={title}>
            <line class="axis" x1="0" x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
            {bars.map((bar, at) => {
              const high = bar.value === null ? STUB : Math.max(1, (bar.value / most) * (HEIGHT - 24));
              return (
                <rect
                  key={at}
                  class={bar.value === null ? "few" : bar.whole === false ? "part" : "full"}
                  x={at * wide + wide * 0.1}
                  y={HEIGHT - high}
                  width={wide * 0.8}
                  height={high}
                >
                  <title>{`${bar.label}: ${told(bar.value, least, bar.whole, digits)}`}</title>
                </rect>
              );
            })}
            {bars.map(
              (bar, at) =>
                at % every === 0 && (
                  <text key={at} x={at * wide + 2} y={HEIGHT + FOOT - 5}>
                    {bar.label}
                  </text>
                ),
            )}
            <text class="most" x={WIDTH - 2} y="18">
              {number(most, digits)}
            </text>
          </svg>
          <details>
            <summary>{t("table")}</summary>
            <div class="scroll" tabIndex={0} role="region" aria-label={title}>
              <table>
                <caption class="unseen">{title}</caption>
                <thead>
                  <tr>
                    <th scope="col">{t("time")}</th>
                    <th scope="col">{t("count")}</th>
                  </tr>
                </thead>
                <tbody>
                  {bars.map((bar, at) => (
                    <tr key={at}>
                      <th scope="row">{bar.label}</th>
                      <td>{told(bar.value, least, bar.whole, digits)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </details>
        </>
      )}
    </figure>
  );
}
