// The wall: up to 64 cameras side by side, live.
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { api } from "../api";
import { type Condition, connection, reached, type Sink } from "../live/connection";
import { canPlay, Player } from "../live/player";
import { ConditionStrip, Feed, inWords } from "../parts/feed";
import { go } from "../router";
import { complain } from "../trouble";
import { t } from "./wall.texts";

/** How the wall of an account looks: tiles in a row and in a column, and the cameras in order; all where there is null. */
interface Layout {
  side: number;
  cameras: string[] | null;
}

const SIDES = [1, 2, 3, 4, 5, 6, 7, 8] as const;
const SAVE_AFTER_MS = 500;
/** Marks what is dragged as a camera of this wall. */
const DRAGGED = "application/x-veil-camera";

export function WallPage(_: { rest: string }) {
  const all = useSignal<string[] | null>(null);
  const layout = useSignal<Layout>({ side: 2, cameras: null });
  const page = useSignal(0);
  const moved = useSignal("");
  const shown = useComputed(() => {
    const wanted = layout.value.cameras ?? all.value ?? [];
    return wanted.filter((camera) => all.value?.includes(camera));
  });
  const tiles = useComputed(() => {
    const count = layout.value.side ** 2;
    const first = Math.min(page.value, Math.max(0, Math.ceil(shown.value.length / count) - 1)) * count;
    return shown.value.slice(first, first + count);
  });
  const wall = useRef<HTMLUListElement>(null);
  const players = useMemo(() => new Map<string, Player>(), []);
  const saving = useRef(0);

  useEffect(() => {
    Promise.all([api<{ camera: string }[]>("/cameras"), api<Layout>("/layout")])
      .then(([cameras, kept]) => {
        layout.value = kept;
        all.value = cameras.map((each) => each.camera);
      })
      .catch(complain);
    return () => {
      connection.follow([]);
      connection.watch(new Map());
    };
  }, []);
  useSignalEffect(() => {
    for (const camera of tiles.value) if (!players.has(camera)) players.set(camera, new Player());
    for (const camera of players.keys()) if (!tiles.value.includes(camera)) players.delete(camera);
    if (all.value !== null) connection.follow(tiles.value);
  });
  useVisible(wall, players, tiles.value);

  const change = (changed: Partial<Layout>): void => {
    layout.value = { ...layout.value, ...changed };
    clearTimeout(saving.current);
    saving.current = window.setTimeout(() => {
      api("/layout", "PUT", layout.value).catch(complain);
    }, SAVE_AFTER_MS);
  };
  const put = (camera: string, to: number): void => {
    const order = [...shown.value];
    const from = order.indexOf(camera);
    if (from < 0 || to < 0 || to >= order.length || from === to) return;
    order.splice(to, 0, ...order.splice(from, 1));
    change({ cameras: order });
    moved.value = t("moved", { camera, place: to + 1, all: order.length });
  };
  const move = (camera: string, by: number): void => put(camera, shown.value.indexOf(camera) + by);
  const turn = (by: number): void => {
    const pages = Math.max(1, Math.ceil(shown.value.length / layout.value.side ** 2));
    page.value = (Math.min(page.value, pages - 1) + by + pages) % pages;
  };
  const press = (event: KeyboardEvent): void => {
    const digit = Number(event.key);
    if (event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
    if ((SIDES as readonly number[]).includes(digit)) change({ side: digit });
    else if (event.key === "PageDown") turn(1);
    else if (event.key === "PageUp") turn(-1);
    else if (event.key === "f") fill(focusedTile() ?? wall.current);
    else if (!step(event, wall.current, layout.value.side, move)) return;
    event.preventDefault();
  };
  useEffect(() => {
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });

  if (all.value === null) return <p>{t("loading")}</p>;
  return (
    <>
      <div class="wall-bar">
        <h1>{t("title")}</h1>
        <label>
          {t("grid")}{" "}
          <select
            value={String(layout.value.side)}
            onChange={(event) => change({ side: Number(event.currentTarget.value) })}
          >
            {SIDES.map((side) => (
              <option key={side} value={String(side)}>
                {side} × {side}
              </option>
            ))}
          </select>
        </label>
        <Paging count={shown.value.length} side={layout.value.side} turn={turn} />
        <button type="button" onClick={() => fill(wall.current)}>
          {t("fill")}
        </button>
        <Chooser all={all.value} shown={shown.value} choose={(cameras) => change({ cameras })} />
      </div>
      {!canPlay && <p class="wrong">{t("cantPlay")}</p>}
      {reached.value === "off" && (
        <p class="wrong" role="status">
          {t("unreached")}
        </p>
      )}
      {tiles.value.length === 0 && <p>{t("none")}</p>}
      <ul class={`wall side-${layout.value.side}`} ref={wall} aria-label={t("title")}>
        {tiles.value.map((camera) => {
          const player = players.get(camera);
          const take = (other: string): void => put(other, shown.value.indexOf(camera));
          return player && <Tile key={camera} camera={camera} player={player} take={take} />;
        })}
      </ul>
      <Announcer cameras={tiles.value} />
      <p class="unseen" role="status">
        {moved.value}
      </p>
      <p class="note keys">{t("keys")}</p>
    </>
  );
}

/** `take` is told which other camera was dropped on this one, to have its place. */
function Tile({ camera, player, take }: { camera: string; player: Player; take: (other: string) => void }) {
  const over = useSignal(false);
  const condition = connection.conditions.value.get(camera);
  const address = `/camera/${encodeURIComponent(camera)}`;
  const open = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(address);
  };
  return (
    <li>
      <a
        class={`tile ${condition?.state ?? "waiting"}${over.value ? " over" : ""}`}
        href={address}
        data-camera={camera}
        draggable
        onClick={open}
        onDragStart={(event) => {
          event.dataTransfer?.clearData();
          event.dataTransfer?.setData(DRAGGED, camera);
        }}
        onDragOver={(event) => {
          if (!event.dataTransfer?.types.includes(DRAGGED)) return;
          event.preventDefault();
          over.value = true;
        }}
        onDragLeave={() => {
          over.value = false;
        }}
        onDrop={(event) => {
          event.preventDefault();
          over.value = false;
          take(event.dataTransfer?.getData(DRAGGED) ?? "");
        }}
      >
        <Feed player={player} condition={condition} />
        <ConditionStrip camera={camera} condition={condition} delay={player.delay.value} />
      </a>
    </li>
  );
}

function Paging({ count, side, turn }: { count: number; side: number; turn: (by: number) => void }) {
  if (count <= side ** 2) return null;
  return (
    <span class="paging">
      <button type="button" aria-label={t("before")} onClick={() => turn(-1)}>
        ←
      </button>
      <button type="button" aria-label={t("after")} onClick={() => turn(1)}>
        →
      </button>
    </span>
  );
}

function Chooser({ all, shown, choose }: {
  all: readonly string[];
  shown: readonly string[];
  choose: (cameras: string[] | null) => void;
}) {
  const toggle = (camera: string, wanted: boolean): void => {
    choose(wanted ? [...shown, camera] : shown.filter((each) => each !== camera));
  };
  return (
    <details class="chooser">
      <summary>{t("cameras", { shown: shown.length, all: all.length })}</summary>
      <div class="card">
        <button type="button" onClick={() => choose(null)}>
          {t("everything")}
        </button>
        <ul>
          {all.map((camera) => (
            <li key={camera}>
              <label>
                <input
                  type="checkbox"
                  checked={shown.includes(camera)}
                  onChange={(event) => toggle(camera, event.currentTarget.checked)}
                />{" "}
                {camera}
              </label>
            </li>
          ))}
        </ul>
      </div>
    </details>
  );
}

/** Says aloud, for screen readers, when a camera is closed, lost or back; not the first time that it is heard of. */
function Announcer({ cameras }: { cameras: readonly string[] }) {
  const before = useRef(new Map<string, Condition["state"]>());
  const words = useSignal("");
  useSignalEffect(() => {
    const said = [];
    for (const camera of cameras) {
      const condition = connection.conditions.value.get(camera);
      const last = before.current.get(camera);
      if (condition === undefined || condition.state === last) continue;
      before.current.set(camera, condition.state);
      if (last !== undefined && last !== "waiting") said.push(t("tile", { camera, state: inWords(condition) }));
    }
    if (said.length > 0) words.value = said.join(". ");
  });
  return (
    <p class="unseen" role="status">
      {words.value}
    </p>
  );
}

/** Asks for the video of tiles that can be seen, and of no others. */
function useVisible(
  wall: { current: HTMLUListElement | null },
  players: ReadonlyMap<string, Player>,
  tiles: readonly string[],
): void {
  useEffect(() => {
    const seen = new Set<string>();
    const ask = (): void => {
      const sinks = new Map<string, Sink>();
      for (const camera of document.hidden ? [] : seen) {
        const player = players.get(camera);
        if (player) sinks.set(camera, player);
      }
      connection.watch(sinks);
    };
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const camera = (entry.target as HTMLElement).dataset["camera"] ?? "";
        if (entry.isIntersecting) seen.add(camera);
        else seen.delete(camera);
      }
      ask();
    });
    for (const tile of wall.current?.querySelectorAll(".tile") ?? []) observer.observe(tile);
    document.addEventListener("visibilitychange", ask);
    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", ask);
    };
  }, [tiles.join("\n"), wall.current === null]);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, select, textarea, summary");
}

function focusedTile(): HTMLElement | null {
  return document.activeElement?.closest<HTMLElement>(".tile") ?? null;
}

function fill(element: Element | null): void {
  if (document.fullscreenElement) document.exitFullscreen().catch(complain);
  else element?.requestFullscreen().catch(complain);
}

/** Arrows go from tile to tile, with Shift they take the tile along. False for other keys. */
function step(
  event: KeyboardEvent,
  wall: Element | null,
  side: number,
  move: (camera: string, by: number) => void,
): boolean {
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -side, ArrowDown: side }[event.key];
  if (by === undefined || !wall) return false;
  const tiles = [...wall.querySelectorAll<HTMLElement>(".tile")];
  const at = tiles.findIndex((tile) => tile === focusedTile());
  const here = tiles[at];
  if (here && event.shiftKey) move(here.dataset["camera"] ?? "", by);
  else tiles[at < 0 ? 0 : Math.min(tiles.length - 1, Math.max(0, at + by))]?.focus();
  return true;
}
