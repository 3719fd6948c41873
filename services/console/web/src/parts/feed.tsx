// One camera's live picture with its condition in words.
import { useEffect, useRef } from "preact/hooks";
import type { Condition } from "../live/connection";
import type { Player } from "../live/player";
import { clock, number } from "../texts";
import { t } from "./feed.texts";
import { Why } from "./why";

const SIGNS = { waiting: "…", live: "●", closed: "■", lost: "✕", ended: "◼" } as const;

/** How a camera is, in one sentence. */
export function inWords(condition: Condition | undefined): string {
  if (!condition) return t("waiting");
  const since = clock(condition.since_us);
  return condition.state === "lost" || condition.state === "ended"
    ? t(condition.state, { since })
    : t(condition.state);
}

/** Camera, condition and delay as a strip; never by colour alone. */
export function ConditionStrip({ camera, condition, delay }: {
  camera: string;
  condition: Condition | undefined;
  delay: number | null;
}) {
  const state = condition?.state ?? "waiting";
  return (
    <p class={`strip ${state}`}>
      <strong>{camera}</strong>
      <span class="state">
        <span aria-hidden="true">{SIGNS[state]} </span>
        {inWords(condition)}
      </span>
      {condition?.why && (
        <span class="why">
          <Why given={condition} />
        </span>
      )}
      {delay !== null && <span class="delay">{t("delay", { seconds: number(delay, 1) })}</span>}
    </p>
  );
}

/** The picture; covered while the camera is lost, so that an old one is never taken for a new one. */
export function Feed({ player, condition }: { player: Player; condition: Condition | undefined }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    player.attach(video.current);
    return () => player.attach(null);
  }, [player]);
  const gone = condition === undefined || ["lost", "ended", "waiting"].includes(condition.state);
  return (
    <div class={gone ? "picture gone" : "picture"}>
      <video ref={video} playsInline muted tabIndex={-1} aria-hidden="true" disablePictureInPicture />
      {gone && <p class="cover" aria-hidden="true">{inWords(condition)}</p>}
    </div>
  );
}
