// Masked pictures of tracks, to be chosen with mouse, finger or keyboard.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { clock } from "../../texts";
import type { Chosen, Part } from "./choosing";
import type { Found } from "./client";
import { t } from "./texts";

interface TracksProperties {
  found: Found[];
  chosen: Chosen;
  alike?: ReadonlyMap<number, number> | undefined;
  /** Chooses a track, or lets go of it; left out where nothing can be changed. */
  set?: (number: number, part: Part | undefined) => void;
}

export function Tracks({ found, chosen, alike, set }: TracksProperties) {
  const list = useRef<HTMLUListElement>(null);
  const current = useSignal(0);
  const at = Math.min(current.value, Math.max(0, found.length - 1));
  const toggle = (track: Found, on: boolean): void => {
    set?.(track.number, on ? { first_seq: track.first_seq, last_seq: track.last_seq } : undefined);
  };
  const move = (event: KeyboardEvent): void => {
    const buttons = [...(list.current?.querySelectorAll<HTMLButtonElement>("button.track") ?? [])];
    const next = neighbour(buttons, at, event.key);
    if (next === undefined) return;
    event.preventDefault();
    current.value = next;
    buttons[next]?.focus();
  };
  return (
    <ul class="tracks" ref={list} aria-label={t("tracks")} onKeyDown={move}>
      {found.map((track, index) => (
        <li key={track.number}>
          <button
            type="button"
            class="track"
            aria-pressed={chosen.has(track.number)}
            disabled={!set}
            tabIndex={index === at ? 0 : -1}
            onFocus={() => (current.value = index)}
            onClick={() => toggle(track, !chosen.has(track.number))}
          >
            <Picture of={track} />
            <span class="track-name">{nameOf(track)}</span>
            {alike?.has(track.number) && (
              <span class="note">{t("alikeShare", { share: Math.round((alike.get(track.number) ?? 0) * 100) })}</span>
            )}
            {track.belongs.length > 0 && (
              <span class="note">{t("belongs", { numbers: track.belongs.join(", ") })}</span>
            )}
          </button>
          {set && track.belongs.some((each) => !chosen.has(each)) && chosen.has(track.number) && (
            <button type="button" class="quiet" onClick={() => chooseAll(found, track.belongs, toggle)}>
              {t("chooseBelongs", { numbers: track.belongs.join(", ") })}
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function Picture({ of }: { of: Found }) {
  const lost = useSignal(false);
  if (lost.value) return <span class="no-picture">{t("noPicture")}</span>;
  // The name beside it says what it is; everyone in it is masked.
  return <img src={of.picture} alt="" loading="lazy" onError={() => (lost.value = true)} />;
}

/** A track in words: kind, number, camera, times. */
export function nameOf(track: Found): string {
  return t("trackName", {
    kind: t(`kind_${track.kind}`),
    number: track.number,
    camera: track.camera,
    from: clock(track.start_us),
    to: clock(track.end_us),
  });
}

function chooseAll(found: Found[], numbers: number[], toggle: (track: Found, on: boolean) => void): void {
  for (const track of found) if (numbers.includes(track.number)) toggle(track, true);
}

/** The one beside, above or below, as they lie on the screen. */
function neighbour(buttons: HTMLElement[], at: number, key: string): number | undefined {
  if (key === "ArrowRight") return Math.min(at + 1, buttons.length - 1);
  if (key === "ArrowLeft") return Math.max(at - 1, 0);
  if (key === "Home") return 0;
  if (key === "End") return buttons.length - 1;
  const here = buttons[at]?.getBoundingClientRect();
  if (!here || (key !== "ArrowDown" && key !== "ArrowUp")) return undefined;
  const below = key === "ArrowDown";
  const rows = buttons
    .map((button, index) => ({ index, place: button.getBoundingClientRect() }))
    .filter(({ place }) => (below ? place.top > here.top + 1 : place.top < here.top - 1) && place.left === here.left);
  return (below ? rows[0] : rows.at(-1))?.index ?? at;
}
