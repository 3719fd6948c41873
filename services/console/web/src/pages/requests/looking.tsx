// Looks through what was rendered, frame by frame, and masks more where somebody is still seen.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { complain } from "../../trouble";
import { type Frame, frame, type Mask, one, type Video, type Videos, videoAddress, videos } from "./client";
import { Correcting, type Box } from "./correcting";
import type { Desk } from "./one";
import { t } from "./texts";
import { exact, exactInZone, length } from "./times";

// Somebody who holds a key down asks for no more than the server lets one account ask.
const PAUSE_MS = 300;

export function Looking({ desk }: { desk: Desk }) {
  const made = useSignal<Videos | undefined>(undefined);
  const name = useSignal("");
  useEffect(() => {
    videos(desk.on.id)
      .then((answer) => {
        made.value = answer;
        name.value = answer.videos[0]?.name ?? "";
      })
      .catch(complain);
  }, []);
  const video = made.value?.videos.find((each) => each.name === name.value);
  return (
    <section aria-labelledby="result">
      <h2 id="result">{t("result")}</h2>
      {made.value?.lacks.map((lack) => (
        <p key={`${lack.camera} ${lack.start_us}`} class="note">
          {t("lack", { camera: lack.camera, from: exact(lack.start_us), to: exactInZone(lack.end_us), why: lack.why })}
        </p>
      ))}
      {made.value && made.value.videos.length > 1 && (
        <label class="video-choice">
          {t("video")}
          <select value={name.value} onChange={(event) => (name.value = event.currentTarget.value)}>
            {made.value.videos.map((each) => (
              <option key={each.name} value={each.name}>
                {t("videoOf", { name: each.name, camera: each.camera, length: length(each.duration_ms) })}
              </option>
            ))}
          </select>
        </label>
      )}
      {video && <Reel key={video.name} desk={desk} video={video} />}
    </section>
  );
}

function Reel({ desk, video }: { desk: Desk; video: Video }) {
  const wanted = useSignal(0);
  const shown = useSignal<Frame | undefined>(undefined);
  const box = useSignal<Box | undefined>(undefined);
  const busy = useRef(false);
  const id = desk.on.id;
  const load = async (): Promise<void> => {
    if (busy.current) return;
    busy.current = true;
    try {
      while (shown.value?.number !== wanted.value) {
        shown.value = await frame(id, video.name, wanted.value);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    } catch (error) {
      complain(error);
    } finally {
      busy.current = false;
    }
  };
  const show = (number: number): void => {
    wanted.value = Math.max(0, Math.min(video.frames - 1, number));
    void load();
  };
  useEffect(() => {
    // That somebody looks is a step of the request too, written down with the first frame.
    void load()
      .then(() => one(id))
      .then(desk.became)
      .catch(complain);
  }, []);
  const aSecond = Math.max(1, Math.round((video.frames * 1000) / Math.max(1, video.duration_ms)));
  return (
    <>
      <p>
        {t("videoFacts", { subject: video.with_subject, frames: video.frames, closed: video.frames - video.open })}
      </p>
      {Object.entries(video.closed).map(([why, count]) => (
        <p key={why} class="note">
          {t("closedWhy", { count, why })}
        </p>
      ))}
      <details>
        <summary>{t("play")}</summary>
        <video class="player" controls preload="none" src={videoAddress(id, video.name)} />
      </details>
      <div class="reel">
        <div>
          {shown.value && <Sheet video={video} frame={shown.value} box={box} />}
          <label class="frames">
            {t("frameOf", { number: wanted.value + 1, frames: video.frames })}
            <input
              type="range"
              min={0}
              max={video.frames - 1}
              value={wanted.value}
              aria-describedby="frame-keys"
              onInput={(event) => show(Number(event.currentTarget.value))}
              onKeyDown={(event) => {
                const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
                if (!way || !event.shiftKey) return;
                event.preventDefault();
                show(wanted.value + way * aSecond);
              }}
            />
          </label>
          <p class="note" id="frame-keys">
            {t("frameKeys")}
          </p>
        </div>
        <div>
          {shown.value && <Told frame={shown.value} />}
          <Correcting desk={desk} video={video} at={wanted.value} box={box} />
        </div>
      </div>
    </>
  );
}

interface SheetProperties {
  video: Video;
  frame: Frame;
  box: { value: Box | undefined };
}

/** The masked picture, to draw a box on. */
function Sheet({ video, frame, box }: SheetProperties) {
  const begun = useRef<[number, number] | undefined>(undefined);
  const place = (event: PointerEvent & { currentTarget: SVGSVGElement }): [number, number] => {
    const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
    const within = (share: number, size: number): number => Math.round(Math.max(0, Math.min(1, share)) * size);
    return [
      within((event.clientX - left) / width, video.width),
      within((event.clientY - top) / height, video.height),
    ];
  };
  const draw = (event: PointerEvent & { currentTarget: SVGSVGElement }): void => {
    if (!begun.current) return;
    const [[x1, y1], [x2, y2]] = [begun.current, place(event)];
    if (x1 !== x2 && y1 !== y2) box.value = [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
  };
  return (
    <div class="sheet">
      <img src={frame.picture} alt={t("pictureAlt", { number: frame.number + 1 })} width={video.width} height={video.height} />
      <svg
        viewBox={`0 0 ${video.width} ${video.height}`}
        aria-hidden="true"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          begun.current = place(event);
        }}
        onPointerMove={draw}
        onPointerUp={(event) => {
          draw(event);
          begun.current = undefined;
        }}
      >
        {box.value && <Outline box={box.value} />}
      </svg>
    </div>
  );
}

function Outline({ box: [x1, y1, x2, y2] }: { box: Box }) {
  return <rect x={x1} y={y1} width={x2 - x1} height={y2 - y1} />;
}

function Told({ frame }: { frame: Frame }) {
  return (
    <>
      <p class="note">{t("frameAt", { at: length(frame.at_ms), taken: exactInZone(frame.captured_us) })}</p>
      <p role="status">
        {frame.why ? t("closedFrame", { why: frame.why }) : t(frame.subject ? "subjectSeen" : "subjectNot")}
      </p>
      {frame.masks.length > 0 && (
        <details>
          <summary>
            {t("masksHere")} ({frame.masks.length})
          </summary>
          <ul>
            {frame.masks.map((mask, index) => (
              <li key={index}>{t("maskRow", { kind: kindOf(mask), why: t(`why_${mask.why}`) })}</li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

const KINDS = ["face", "head", "person", "motion", "plate", "text", "logo"] as const;

function kindOf(mask: Mask): string {
  const known = KINDS.find((each) => each === mask.kind);
  return known ? t(`kind_${known}`) : t("place");
}
