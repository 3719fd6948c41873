// Zones and lines, drawn over a masked still by mouse, touch or keyboard; their corners as numbers for everyone else.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { t } from "./draw.texts";
import { type Box, freeName, type Line, type Plain, type Point, share, type Still, type Use, type Zone } from "./model";
import { Typed } from "./typed";
import { t as words } from "./words.texts";

export interface Areas {
  zones: Zone[];
  lines: Line[];
}

interface Drawing {
  areas: Areas;
  onChange: (areas: Areas) => void;
  onUndo: (() => void) | null;
  still: Still;
  onRenew: () => void;
  boxes: readonly Box[];
  policy: Plain | null;
}

const WIDE = 1000;
const STEP = 0.01;
const LEAP = 0.05;
const USES: readonly Use[] = ["mask", "count", "detail"];
const MOVES: Record<string, Point> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** An area as corners: a line has two that are never more or fewer. */
interface Shape {
  part: "zones" | "lines";
  at: number;
  name: string;
  corners: Point[];
}

export function Draw({ areas, onChange, onUndo, still, onRenew, boxes, policy }: Drawing) {
  const svg = useRef<SVGSVGElement>(null);
  const high = useSignal(Math.round((WIDE * 9) / 16));
  const tool = useSignal<"zones" | "lines" | null>(null);
  const open = useSignal<Point[]>([]);
  const cross = useSignal<Point>([0.5, 0.5]);
  const dragged = useSignal<{ shape: Shape; corner: number; to: Point } | null>(null);

  const begin = (part: "zones" | "lines"): void => {
    tool.value = part;
    open.value = [];
    svg.current?.focus();
  };
  const stop = (): void => {
    tool.value = null;
    open.value = [];
  };
  const finish = (): void => {
    const corners = open.value;
    const [start, end] = corners;
    if (tool.value === "zones" && corners.length >= 3) {
      const zone: Zone = { name: freeName(t("zoneStem"), areas.zones), polygon: corners, use: "mask" };
      onChange({ ...areas, zones: [...areas.zones, zone] });
    } else if (tool.value === "lines" && start && end) {
      onChange({ ...areas, lines: [...areas.lines, { name: freeName(t("lineStem"), areas.lines), start, end }] });
    } else return;
    stop();
  };
  const put = (point: Point): void => {
    if (tool.value === null || open.value.length >= 64) return;
    open.value = [...open.value, point];
    if (tool.value === "lines" && open.value.length === 2) finish();
  };
  const pressed = (event: KeyboardEvent): void => {
    if (event.target !== svg.current) return;
    const move = MOVES[event.key];
    if (move && tool.value) cross.value = moved(cross.value, move, event.shiftKey);
    else if (tool.value && (event.key === "Enter" || event.key === " ")) put(cross.value);
    else if (tool.value && event.key.toLowerCase() === "f") finish();
    else if (tool.value && event.key === "Backspace") open.value = open.value.slice(0, -1);
    else if (event.key === "Escape") stop();
    else return;
    event.preventDefault();
  };
  const at = (event: PointerEvent): Point => {
    const frame = svg.current?.getBoundingClientRect();
    if (!frame) return [0, 0];
    return [share((event.clientX - frame.left) / frame.width), share((event.clientY - frame.top) / frame.height)];
  };
  const held = dragged.value;
  const shapes = shapesOf(areas).map((shape) =>
    held && held.shape.part === shape.part && held.shape.at === shape.at ? withCorner(shape, held.corner, held.to) : shape,
  );
  const place = ([x, y]: Point): string => `${x * WIDE},${y * high.value}`;
  const change = (shape: Shape): void => onChange(replaced(areas, shape));

  return (
    <>
      <p class="note" id="draw-how">
        {t("how")}
      </p>
      <div class="tools">
        <button type="button" aria-pressed={tool.value === "zones"} onClick={() => begin("zones")}>
          {t("newZone")}
        </button>
        <button type="button" aria-pressed={tool.value === "lines"} onClick={() => begin("lines")}>
          {t("newLine")}
        </button>
        <button type="button" disabled={tool.value !== "zones" || open.value.length < 3} onClick={finish}>
          {t("finish")}
        </button>
        <button type="button" disabled={tool.value === null} onClick={stop}>
          {t("cancel")}
        </button>
        <button
          type="button"
          disabled={open.value.length === 0 && onUndo === null}
          onClick={() => {
            if (open.value.length > 0) open.value = open.value.slice(0, -1);
            else onUndo?.();
          }}
        >
          {t("undo")}
        </button>
        <button type="button" onClick={onRenew}>
          {t("fresh")}
        </button>
      </div>
      <p class="unseen" role="status">
        {tool.value && t("drawing", { count: open.value.length })}
      </p>
      <div class={tool.value ? "canvas drawing" : "canvas"}>
        {still.address && (
          <img
            src={still.address}
            alt=""
            onLoad={(event) => {
              const { naturalWidth, naturalHeight } = event.currentTarget;
              if (naturalWidth > 0) high.value = Math.round((WIDE * naturalHeight) / naturalWidth);
            }}
          />
        )}
        <svg
          ref={svg}
          viewBox={`0 0 ${WIDE} ${high.value}`}
          role="application"
          tabindex={0}
          aria-label={t("label")}
          aria-describedby="draw-how"
          onKeyDown={pressed}
          onPointerDown={(event) => {
            if (tool.value && event.isPrimary && event.button === 0) put(at(event));
          }}
          onPointerMove={(event) => {
            if (dragged.value) dragged.value = { ...dragged.value, to: at(event) };
          }}
          onPointerUp={() => {
            const last = dragged.value;
            dragged.value = null;
            if (last) change(withCorner(last.shape, last.corner, last.to));
          }}
          onPointerCancel={() => {
            dragged.value = null;
          }}
        >
          <defs>
            <pattern id="hatch" width="14" height="14" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
              <rect width="14" height="14" class="hatch-ground" />
              <rect width="6" height="14" class="hatch-line" />
            </pattern>
          </defs>
          {boxes.map((each, number) => (
            <Seen key={number} box={each} policy={policy} high={high.value} />
          ))}
          {shapes.map((shape) =>
            shape.part === "zones" ? (
              <polygon
                key={`z${shape.at}`}
                class={`zone ${areas.zones[shape.at]?.use ?? ""}`}
                points={shape.corners.map(place).join(" ")}
              />
            ) : (
              <polyline key={`l${shape.at}`} class="crossing" points={shape.corners.map(place).join(" ")} />
            ),
          )}
          {open.value.length > 0 && <polyline class="open" points={open.value.map(place).join(" ")} />}
          {open.value.map(([x, y], number) => (
            <circle key={number} class="open-corner" cx={x * WIDE} cy={y * high.value} r={8} />
          ))}
          {tool.value === null &&
            shapes.flatMap((shape) =>
              shape.corners.map(([x, y], corner) => (
                <circle
                  key={`${shape.part}${shape.at}-${corner}`}
                  class="corner"
                  cx={x * WIDE}
                  cy={y * high.value}
                  r={11}
                  role="button"
                  tabindex={0}
                  aria-label={t("corner", {
                    name: shape.name,
                    number: corner + 1,
                    x: percent(x),
                    y: percent(y),
                  })}
                  onPointerDown={(event) => {
                    event.stopPropagation();
                    svg.current?.setPointerCapture(event.pointerId);
                    dragged.value = { shape, corner, to: [x, y] };
                  }}
                  onKeyDown={(event) => {
                    const next = keyed(shape, corner, event);
                    if (!next) return;
                    event.preventDefault();
                    change(next);
                  }}
                />
              )),
            )}
          {tool.value && (
            <path
              class="cross"
              d={`M${cross.value[0] * WIDE - 16} ${cross.value[1] * high.value}h32m-16 -16v32`}
              aria-hidden="true"
            />
          )}
        </svg>
      </div>
      {!still.address && <p class="note">{t(still.refused ? "mayNotLook" : "noPicture")}</p>}
      <p class="note">{t("overlay")}</p>
      <Lists areas={areas} onChange={onChange} />
    </>
  );
}

/** A subject that is there now, and what the new policy would make of it: in words too, not by colour alone. */
function Seen({ box, policy, high }: { box: Box; policy: Plain | null; high: number }) {
  const mode = policy?.kinds[box.kind];
  const padding = mode ? (policy?.padding[box.kind] ?? 0) : 0;
  const [x1, y1, x2, y2] = box.box;
  const [across, down] = [(x2 - x1) * padding, (y2 - y1) * padding];
  return (
    <g class={mode ? "seen would" : "seen stays"}>
      <rect
        x={(x1 - across) * WIDE}
        y={(y1 - down) * high}
        width={(x2 - x1 + 2 * across) * WIDE}
        height={(y2 - y1 + 2 * down) * high}
      />
      <text x={x1 * WIDE} y={Math.max(24, (y1 - down) * high - 6)}>
        {words(box.kind)}: {mode ? t("would", { mode: words(mode) }) : t("stays")}
      </text>
    </g>
  );
}

/** The same as numbers: whoever can't see the picture writes them. */
function Lists({ areas, onChange }: { areas: Areas; onChange: (areas: Areas) => void }) {
  return (
    <>
      {(["zones", "lines"] as const).map((part) => (
        <section key={part}>
          <h3>{t(part)}</h3>
          {areas[part].length === 0 && <p class="note">{t("none")}</p>}
          {shapesOf(areas)
            .filter((shape) => shape.part === part)
            .map((shape) => (
              <Listed key={shape.at} shape={shape} areas={areas} onChange={onChange} />
            ))}
        </section>
      ))}
    </>
  );
}

function Listed({ shape, areas, onChange }: { shape: Shape; areas: Areas; onChange: (areas: Areas) => void }) {
  const zone = shape.part === "zones" ? areas.zones[shape.at] : undefined;
  const change = (next: Shape): void => onChange(replaced(areas, next));
  return (
    <fieldset class="area">
      <legend>{shape.name}</legend>
      <label>
        {t("name")}
        <Typed value={shape.name} maxLength={64} onDone={(name) => change({ ...shape, name })} />
      </label>
      {zone && (
        <label>
          {t("use")}
          <select
            value={zone.use}
            onChange={(event) => {
              const use = event.currentTarget.value as Use;
              onChange({ ...areas, zones: areas.zones.map((each) => (each === zone ? { ...each, use } : each)) });
            }}
          >
            {USES.map((use) => (
              <option key={use} value={use}>
                {words(use)}
              </option>
            ))}
          </select>
        </label>
      )}
      <button
        type="button"
        onClick={() => {
          const rest = (areas[shape.part] as (Zone | Line)[]).filter((_, at) => at !== shape.at);
          onChange({ ...areas, [shape.part]: rest });
        }}
      >
        {t("remove", { name: shape.name })}
      </button>
      <details>
        <summary>{t("corners", { name: shape.name })}</summary>
        <ol class="corners">
          {shape.corners.map((corner, number) => (
            <li key={number}>
              {([0, 1] as const).map((axis) => (
                <Typed
                  key={axis}
                  type="number"
                  min={0}
                  max={100}
                  step={0.01}
                  aria-label={t(axis === 0 ? "left" : "top", { number: number + 1 })}
                  value={percent(corner[axis])}
                  onDone={(value) => {
                    const given = share(Number(value) / 100);
                    change(withCorner(shape, number, axis === 0 ? [given, corner[1]] : [corner[0], given]));
                  }}
                />
              ))}
              {zone && (
                <>
                  <button type="button" onClick={() => change(more(shape, number))} aria-label={t("add", { number: number + 1 })}>
                    +
                  </button>
                  <button
                    type="button"
                    disabled={shape.corners.length <= 3}
                    onClick={() => change(fewer(shape, number))}
                    aria-label={t("drop", { number: number + 1 })}
                  >
                    −
                  </button>
                </>
              )}
            </li>
          ))}
        </ol>
      </details>
    </fieldset>
  );
}

function shapesOf({ zones, lines }: Areas): Shape[] {
  return [
    ...zones.map(({ name, polygon }, at): Shape => ({ part: "zones", at, name, corners: polygon })),
    ...lines.map(({ name, start, end }, at): Shape => ({ part: "lines", at, name, corners: [start, end] })),
  ];
}

function replaced(areas: Areas, { part, at, name, corners }: Shape): Areas {
  if (part === "zones") {
    return { ...areas, zones: areas.zones.map((each, n) => (n === at ? { ...each, name, polygon: corners } : each)) };
  }
  const [start, end] = corners;
  if (!start || !end) return areas;
  return { ...areas, lines: areas.lines.map((each, n) => (n === at ? { name, start, end } : each)) };
}

function withCorner(shape: Shape, number: number, to: Point): Shape {
  return { ...shape, corners: shape.corners.map((corner, n) => (n === number ? to : corner)) };
}

/** A corner half way to the next. */
function more(shape: Shape, number: number): Shape {
  const from = shape.corners[number];
  const to = shape.corners[(number + 1) % shape.corners.length];
  if (!from || !to || shape.corners.length >= 64) return shape;
  const between: Point = [share((from[0] + to[0]) / 2), share((from[1] + to[1]) / 2)];
  return { ...shape, corners: shape.corners.toSpliced(number + 1, 0, between) };
}

function fewer(shape: Shape, number: number): Shape {
  return shape.corners.length <= 3 ? shape : { ...shape, corners: shape.corners.toSpliced(number, 1) };
}

/** What a key does to a corner; null where it does nothing. */
function keyed(shape: Shape, number: number, event: KeyboardEvent): Shape | null {
  const corner = shape.corners[number];
  const move = MOVES[event.key];
  if (move && corner) return withCorner(shape, number, moved(corner, move, event.shiftKey));
  if (shape.part === "lines") return null;
  if (event.key === "Insert" || event.key === "+") return more(shape, number);
  return event.key === "Delete" ? fewer(shape, number) : null;
}

function moved([x, y]: Point, [across, down]: Point, far: boolean): Point {
  const step = far ? LEAP : STEP;
  return [share(x + across * step), share(y + down * step)];
}

function percent(value: number): string {
  return String(Math.round(value * 1e4) / 100);
}
