// Points at the subject among masked pictures of everybody in the range, and trims when they are shown.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { complain } from "../../trouble";
import { Ask } from "./ask";
import { begin, type Case, choose, type Found, found as foundOf, has, type Kind } from "./client";
import type { Desk } from "./one";
import { t } from "./texts";
import { Trimming } from "./trimming";
import { Tracks } from "./tracks";

/** A part of a track: from frame to frame, both included. */
export interface Part {
  first_seq: number;
  last_seq: number;
}

export type Chosen = ReadonlyMap<number, Part>;

const PAGE = 24;

export function Choosing({ desk }: { desk: Desk }) {
  const all = useSignal<Found[] | undefined>(undefined);
  const chosen = useSignal<Chosen>(new Map());
  const alike = useSignal<ReadonlyMap<number, number> | undefined>(undefined);
  const asked = useSignal<"choose" | "suggest" | undefined>(undefined);
  const { on } = desk;
  const mayChange = on.next.includes("choose") && has("officer");
  useEffect(() => {
    foundOf(on.id)
      .then((found) => {
        all.value = found;
        chosen.value = chosenOf(on, found);
      })
      .catch(complain);
  }, []);
  const found = all.value;
  if (!found) return <p class="note">{t("loading")}</p>;
  const mine = found.filter((each) => chosen.value.has(each.number));
  const set = (number: number, part: Part | undefined): void => {
    const changed = new Map(chosen.value);
    if (part) changed.set(number, part);
    else changed.delete(number);
    chosen.value = changed;
  };
  return (
    <section aria-labelledby="point">
      <h2 id="point">{t(mayChange ? "point" : "subject")}</h2>
      <p class="note">{found.length === 0 ? t("nobody") : t("pointNote")}</p>
      {mayChange ? (
        <Gallery found={found} chosen={chosen.value} alike={alike.value} end={() => (alike.value = undefined)} set={set} />
      ) : (
        <Tracks found={mine} chosen={chosen.value} />
      )}
      <Trimming found={mine} chosen={chosen.value} set={mayChange ? set : undefined} />
      {mayChange && (
        <>
          <p role="status">
            {t("chosen", { count: mine.length })}
            {isSaved(on, mine, chosen.value) ? "" : ` · ${t("unsaved")}`}
          </p>
          <div class="acts">
            <button
              type="button"
              class="main"
              disabled={mine.length === 0 || desk.job !== undefined}
              onClick={() => (asked.value = "choose")}
            >
              {t("act_choose")}
            </button>
            <button
              type="button"
              disabled={mine.length === 0 || desk.job !== undefined}
              aria-describedby="alike-note"
              onClick={() => (asked.value = "suggest")}
            >
              {t("alike")}
            </button>
          </div>
          <p class="note" id="alike-note">
            {t("alikeNote")}
          </p>
        </>
      )}
      {asked.value === "choose" && (
        <Ask
          title={t("act_choose")}
          act={(why) => desk.change((now) =>
              choose(now, why, mine.map((each) => ({ number: each.number, ...partOf(chosen.value, each) }))),
            )}
          close={() => (asked.value = undefined)}
        />
      )}
      {asked.value === "suggest" && (
        <Ask
          title={t("alike")}
          note={t("alikeNote")}
          act={async (why) => {
            const like = mine.map((each) => each.number);
            const begun = await desk.begin((now) => begin(now, "suggest", why, { like }));
            void desk
              .wait(begun)
              .then((job) => {
                if (job.error) complain(job.error);
                else alike.value = new Map(job.result.map((each) => [each.number, each.likeness]));
              })
              .catch(complain);
          }}
          close={() => (asked.value = undefined)}
        />
      )}
    </section>
  );
}

interface GalleryProperties {
  found: Found[];
  chosen: Chosen;
  /** Number → likeness, of those that were suggested. */
  alike: ReadonlyMap<number, number> | undefined;
  end: () => void;
  set: (number: number, part: Part | undefined) => void;
}

/** The tracks of a search, page by page. */
function Gallery({ found, chosen, alike, end, set }: GalleryProperties) {
  const kind = useSignal("");
  const camera = useSignal("");
  const only = useSignal(false);
  const page = useSignal(0);
  const wanted = alike
    ? [...alike.keys()].flatMap((number) => found.find((each) => each.number === number) ?? [])
    : found.filter(
        (each) =>
          (!kind.value || each.kind === kind.value) &&
          (!camera.value || each.camera === camera.value) &&
          (!only.value || chosen.has(each.number)),
      );
  const pages = Math.max(1, Math.ceil(wanted.length / PAGE));
  const at = Math.min(page.value, pages - 1);
  if (found.length === 0) return null;
  return (
    <>
      {alike ? (
        <div class="requests-filters">
          <strong>{alike.size ? t("alikeFirst") : t("alikeNone")}</strong>
          <button type="button" onClick={end}>
            {t("alikeEnd")}
          </button>
        </div>
      ) : (
        <div class="requests-filters">
          <Choice label={t("kindLabel")} every={t("everyKind")} at={kind} options={kindsOf(found)} />
          <Choice label={t("cameraLabel")} every={t("everyCamera")} at={camera} options={camerasOf(found)} />
          <label class="tick">
            <input type="checkbox" checked={only.value} onChange={(event) => (only.value = event.currentTarget.checked)} />
            {t("onlyChosen")}
          </label>
        </div>
      )}
      <p class="note">{t("pointKeys")}</p>
      <Tracks found={wanted.slice(at * PAGE, (at + 1) * PAGE)} chosen={chosen} alike={alike} set={set} />
      {pages > 1 && (
        <div class="acts pager">
          <button type="button" disabled={at === 0} onClick={() => (page.value = at - 1)}>
            {t("previous")}
          </button>
          <span role="status">{t("page", { page: at + 1, pages })}</span>
          <button type="button" disabled={at === pages - 1} onClick={() => (page.value = at + 1)}>
            {t("following")}
          </button>
        </div>
      )}
    </>
  );
}

interface ChoiceProperties {
  label: string;
  every: string;
  at: { value: string };
  options: [string, string][];
}

function Choice({ label, every, at, options }: ChoiceProperties) {
  return (
    <label>
      {label}
      <select value={at.value} onChange={(event) => (at.value = event.currentTarget.value)}>
        <option value="">{every}</option>
        {options.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function kindsOf(found: Found[]): [string, string][] {
  return [...new Set(found.map((each) => each.kind))].map((kind: Kind) => [kind, t(`kind_${kind}`)]);
}

function camerasOf(found: Found[]): [string, string][] {
  return [...new Set(found.map((each) => each.camera))].map((camera) => [camera, camera]);
}

/** What was kept as the subject, by the numbers of the last search. */
function chosenOf(on: Case, found: Found[]): Chosen {
  const chosen = new Map<number, Part>();
  for (const sight of on.subject) {
    const track = found.find(
      (each) =>
        each.camera === sight.camera &&
        each.epoch === sight.epoch &&
        each.track === sight.track &&
        each.kind === sight.kind,
    );
    if (track && !chosen.has(track.number)) {
      chosen.set(track.number, { first_seq: sight.first_seq, last_seq: sight.last_seq });
    }
  }
  return chosen;
}

function partOf(chosen: Chosen, of: Found): Part {
  return chosen.get(of.number) ?? { first_seq: of.first_seq, last_seq: of.last_seq };
}

function isSaved(on: Case, mine: Found[], chosen: Chosen): boolean {
  const kept = chosenOf(on, mine);
  return (
    on.subject.length === mine.length &&
    mine.every((each) => {
      const [a, b] = [kept.get(each.number), chosen.get(each.number)];
      return a?.first_seq === b?.first_seq && a?.last_seq === b?.last_seq;
    })
  );
}

