// Corrections of what was rendered: boxes and whole frames that are to be masked too.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../../api";
import { complain } from "../../trouble";
import { Ask } from "./ask";
import { frame, has, type Video } from "./client";
import type { Desk } from "./one";
import { t } from "./texts";

/** Left, top, right, bottom in pixels of the video. */
export type Box = [number, number, number, number];

interface Correction {
  camera: string;
  epoch: number;
  first_seq: number;
  last_seq: number;
  box?: Box;
  /** As they are counted on the page. */
  frames: [number, number];
}

interface CorrectingProperties {
  desk: Desk;
  video: Video;
  /** Number of the frame that is shown, from 0. */
  at: number;
  box: { value: Box | undefined };
}

export function Correcting({ desk, video, at, box }: CorrectingProperties) {
  const list = useSignal<Correction[]>([]);
  const from = useSignal(at + 1);
  const to = useSignal(at + 1);
  const asked = useSignal(false);
  useEffect(() => {
    from.value = to.value = at + 1;
  }, [at]);
  if (!desk.on.next.includes("correct") || !has("officer")) return null;
  const add = async (drawn: Box | undefined): Promise<void> => {
    const ends = [from.value, to.value].sort((a, b) => a - b) as [number, number];
    // Between two stretches numbers of frames and of the camera's pictures part.
    const [first, last] = await Promise.all(ends.map((each) => frame(desk.on.id, video.name, each - 1)));
    if (!first || !last) return;
    const { camera, epoch } = video;
    const frames = { camera, epoch, first_seq: first.seq, last_seq: last.seq, frames: ends };
    list.value = [...list.value, drawn ? { ...frames, box: drawn } : frames];
    box.value = undefined;
  };
  return (
    <section class="correcting" aria-labelledby="correcting">
      <h3 id="correcting">{t("correctTitle")}</h3>
      <p class="note">{t("correctNote")}</p>
      <div class="corners">
        {(["boxLeft", "boxTop", "boxRight", "boxBottom"] as const).map((corner, index) => (
          <label key={corner}>
            {t(corner)}
            <input
              type="number"
              min={0}
              max={index % 2 ? video.height : video.width}
              value={box.value?.[index] ?? ""}
              onChange={(event) => (box.value = withCorner(box.value, index, Number(event.currentTarget.value)))}
            />
          </label>
        ))}
        <FrameNumber label={t("fromFrame")} at={from} most={video.frames} />
        <FrameNumber label={t("toFrame")} at={to} most={video.frames} />
      </div>
      <div class="acts">
        <button type="button" disabled={!isBox(box.value)} onClick={() => void add(box.value).catch(complain)}>
          {t("addBox")}
        </button>
        <button type="button" onClick={() => void add(undefined).catch(complain)}>
          {t("addClose")}
        </button>
      </div>
      <ul class="corrections">
        {list.value.map((each, index) => (
          <li key={index}>
            {wordsOf(each)}{" "}
            <button
              type="button"
              class="quiet"
              aria-label={`${t("remove")}: ${wordsOf(each)}`}
              onClick={() => (list.value = list.value.filter((other) => other !== each))}
            >
              {t("remove")}
            </button>
          </li>
        ))}
      </ul>
      {list.value.length > 0 && (
        <>
          <button type="button" class="main" onClick={() => (asked.value = true)}>
            {t("sendCorrections", { count: list.value.length })}
          </button>
          <p class="note">{t("correctAfter")}</p>
        </>
      )}
      {asked.value && (
        <Ask
          title={t("act_correct")}
          note={t("correctAfter")}
          act={(why) =>
            desk.change((now) =>
              api(`/requests/${now.id}/corrections`, "POST", {
                version: now.version,
                why,
                corrections: list.value.map(({ frames: _, ...sent }) => sent),
              }),
            )
          }
          close={() => (asked.value = false)}
        />
      )}
    </section>
  );
}

function FrameNumber({ label, at, most }: { label: string; at: { value: number }; most: number }) {
  return (
    <label>
      {label}
      <input
        type="number"
        min={1}
        max={most}
        value={at.value}
        onChange={(event) => (at.value = Math.max(1, Math.min(most, Number(event.currentTarget.value) || 1)))}
      />
    </label>
  );
}

function withCorner(box: Box | undefined, index: number, value: number): Box {
  const changed: Box = [...(box ?? ([0, 0, 0, 0] as Box))];
  changed[index] = value;
  return changed;
}

function isBox(box: Box | undefined): box is Box {
  return box !== undefined && box[0] < box[2] && box[1] < box[3];
}

function wordsOf(correction: Correction): string {
  const [from, to] = correction.frames;
  if (!correction.box) return t("correctionClose", { from, to });
  return t("correctionBox", { box: correction.box.join(", "), from, to });
}
