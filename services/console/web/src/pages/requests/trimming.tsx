// From when to when each chosen track is shown.
import type { Chosen, Part } from "./choosing";
import type { Found } from "./client";
import { t } from "./texts";
import { toTenths } from "./times";
import { nameOf } from "./tracks";

interface TrimmingProperties {
  found: Found[];
  chosen: Chosen;
  /** Left out where nothing can be changed. */
  set: ((number: number, part: Part) => void) | undefined;
}

export function Trimming({ found, chosen, set }: TrimmingProperties) {
  if (found.length === 0) return null;
  return (
    <>
      <h3>{t("trim")}</h3>
      <p class="note">{t("trimNote")}</p>
      <ul class="trims">
        {found.map((track) => {
          const part = chosen.get(track.number) ?? track;
          return (
            <li key={track.number} class="card">
              <span>{nameOf(track)}</span>
              {set && (
                <div class="pair">
                  <Edge
                    label={t("trimFrom", { name: nameOf(track) })}
                    track={track}
                    at={part.first_seq}
                    move={(seq) => set(track.number, { first_seq: Math.min(seq, part.last_seq), last_seq: part.last_seq })}
                  />
                  <Edge
                    label={t("trimTo", { name: nameOf(track) })}
                    track={track}
                    at={part.last_seq}
                    move={(seq) => set(track.number, { first_seq: part.first_seq, last_seq: Math.max(seq, part.first_seq) })}
                  />
                </div>
              )}
              <span class="note">
                {t("shownFrom", { from: timeOf(track, part.first_seq), to: timeOf(track, part.last_seq) })}
              </span>
            </li>
          );
        })}
      </ul>
    </>
  );
}

interface EdgeProperties {
  label: string;
  track: Found;
  at: number;
  move: (seq: number) => void;
}

function Edge({ label, track, at, move }: EdgeProperties) {
  return (
    <input
      type="range"
      aria-label={label}
      aria-valuetext={timeOf(track, at)}
      min={track.first_seq}
      max={track.last_seq}
      value={at}
      onInput={(event) => move(Number(event.currentTarget.value))}
    />
  );
}

/** When a frame was taken, within some frames. */
function timeOf(track: Found, seq: number): string {
  const share = (seq - track.first_seq) / Math.max(1, track.last_seq - track.first_seq);
  return toTenths(track.start_us + (track.end_us - track.start_us) * share);
}
