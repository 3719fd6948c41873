// One camera: its live masked picture, the policy in words, the last hours, closed frames and why, and where people stood.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { api, ApiError, send } from "../api";
import { ask, type Dwell, type Flows, type Point, when } from "../insight";
import { connection } from "../live/connection";
import { Player } from "../live/player";
import { Bars, told } from "../parts/bars";
import { ConditionStrip, Feed } from "../parts/feed";
import { Link } from "../parts/link";
import { type Reason, Why } from "../parts/why";
import { moment, number } from "../texts";
import { complain } from "../trouble";
import { t } from "./camera.texts";
import { DwellTold, Places } from "./insight";

const HOUR_US = 3_600_000_000;
const BACK = [2, 6, 24, 72] as const;
const FRESH_MS = 60_000;
const MASKED = ["face", "plate", "person", "head", "motion", "text", "logo"] as const;
const MODES = ["solid", "mosaic", "blur", "seal", "silhouette"] as const;

interface Policy {
  name: string;
  title: string;
  purpose: string;
  legal_basis: string;
  kinds: { kind: string; mode: string }[];
  strength: number;
  look_ahead_s: number;
  hold_s: number;
  on_incomplete: string;
  sound: string;
  originals: string;
  retention_hours: number;
  zones: { name: string; use: string }[];
  lines: { name: string }[];
}
interface Timeline {
  least: number;
  kinds: { kind: string; points: Point[] }[];
  frames: { at_us: number; frames: number; incomplete: number }[];
  closures: ({ from_us: number; to_us: number; frames: number } & Reason)[];
  closures_since_us: number;
}
interface Heat {
  least: number;
  columns: number;
  rows: number;
  cells: (number | null)[];
}

export function CameraPage({ rest }: { rest: string }) {
  const camera = decodeURIComponent(rest);
  return camera ? <One key={camera} camera={camera} /> : <All />;
}

function All() {
  const cameras = useSignal<string[]>([]);
  useEffect(() => {
    api<{ camera: string }[]>("/cameras").then((found) => {
      cameras.value = found.map((each) => each.camera);
    }, complain);
  }, []);
  return (
    <>
      <h1>{t("choose")}</h1>
      <ul>
        {cameras.value.map((each) => (
          <li key={each}>
            <Link to={`/camera/${encodeURIComponent(each)}`}>{each}</Link>
          </li>
        ))}
      </ul>
    </>
  );
}

function One({ camera }: { camera: string }) {
  const address = `/cameras/${encodeURIComponent(camera)}`;
  const hours = useSignal<number>(6);
  const policy = useSignal<Policy | null>(null);
  const timeline = useSignal<Timeline | null>(null);
  useEffect(() => {
    api<Policy>(`${address}/policy`).then((found) => (policy.value = found), unlessAbsent);
  }, [address]);
  useEffect(() => {
    const look = (): void => {
      api<Timeline>(`${address}/timeline?hours=${hours.value}`).then((found) => (timeline.value = found), complain);
    };
    look();
    const timer = setInterval(look, FRESH_MS);
    return () => clearInterval(timer);
  }, [address, hours.value]);
  return (
    <>
      <h1>{camera}</h1>
      <div class="camera-top">
        <Picture camera={camera} />
        <section class="card">
          <h2>{t("policy")}</h2>
          {policy.value ? <Words policy={policy.value} /> : <p>{t("noPolicy")}</p>}
        </section>
      </div>
      <h2>{t("hours")}</h2>
      <label>
        {t("back")}{" "}
        <select value={String(hours.value)} onChange={(event) => (hours.value = Number(event.currentTarget.value))}>
          {BACK.map((each) => (
            <option key={each} value={String(each)}>
              {t("hoursOf", { hours: each })}
            </option>
          ))}
        </select>
      </label>
      {timeline.value && <Hours timeline={timeline.value} />}
      <Statistics camera={camera} hours={hours.value} />
    </>
  );
}

function Picture({ camera }: { camera: string }) {
  const player = useMemo(() => new Player(), [camera]);
  useEffect(() => {
    connection.follow([camera]);
    connection.watch(new Map([[camera, player]]));
    return () => {
      connection.watch(new Map());
      connection.follow([]);
    };
  }, [camera, player]);
  const condition = connection.conditions.value.get(camera);
  return (
    <section aria-label={t("live")} data-camera={camera} class={`tile ${condition?.state ?? "waiting"}`}>
      <Feed player={player} condition={condition} />
      <ConditionStrip camera={camera} condition={condition} delay={player.delay.value} />
    </section>
  );
}

function Words({ policy }: { policy: Policy }) {
  const names = (of: readonly { name: string }[]): string => of.map((each) => each.name).join(", ");
  const always = policy.zones.filter((each) => each.use === "mask");
  const counted = [...policy.zones.filter((each) => each.use === "count"), ...policy.lines];
  const word = (key: string): string => ([...MASKED, ...MODES].find((each) => each === key) ? t(key as "face") : key);
  return (
    <>
      <p>
        <strong>{policy.title || policy.name}</strong>
      </p>
      <ul class="plain">
        {policy.kinds.map((each) => (
          <li key={each.kind}>{t("masked", { kinds: word(each.kind), mode: word(each.mode) })}</li>
        ))}
        {policy.strength !== 1 && <li>{t("stronger", { strength: number(policy.strength, 1) })}</li>}
        <li>{t("ahead", { ahead: number(policy.look_ahead_s, 1), hold: number(policy.hold_s, 1) })}</li>
        <li>{t(policy.on_incomplete === "drop" ? "drop" : "close")}</li>
        {always.length > 0 && <li>{t("always", { names: names(always) })}</li>}
        {counted.length > 0 && <li>{t("counted", { names: names(counted) })}</li>}
        <li>{t(policy.sound === "keep" ? "soundKeep" : "soundDrop")}</li>
        <li>
          {policy.originals === "keep" ? t("originalKeep", { hours: policy.retention_hours }) : t("originalDrop")}
        </li>
      </ul>
      <dl>
        {policy.purpose && (
          <>
            <dt class="note">{t("purpose")}</dt>
            <dd>{policy.purpose}</dd>
          </>
        )}
        {policy.legal_basis && (
          <>
            <dt class="note">{t("basis")}</dt>
            <dd>{policy.legal_basis}</dd>
          </>
        )}
      </dl>
    </>
  );
}

function Hours({ timeline }: { timeline: Timeline }) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const { least } = timeline;
  return (
    <>
      {least > 0 && <p class="note">{t("few", { least })}</p>}
      <div class="charts">
        {timeline.kinds.map((each) => (
          <Bars
            key={each.kind}
            title={MASKED.find((known) => known === each.kind) ? t(each.kind as "face") : each.kind}
            least={least}
            bars={each.points.map((point) => ({
              label: when(point.at_us, "step", zone),
              value: point.value,
              whole: point.whole,
            }))}
          />
        ))}
        {timeline.frames.some((each) => each.incomplete > 0) && (
          <Bars
            title={t("frames")}
            least={1}
            bars={timeline.frames.map((each) => ({ label: when(each.at_us, "step", zone), value: each.incomplete }))}
          />
        )}
      </div>
      <h2>{t("closures")}</h2>
      {timeline.closures.length === 0 ? (
        <p>{t("noClosures", { since: moment(timeline.closures_since_us) })}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("closures")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("from")}</th>
                <th scope="col">{t("to")}</th>
                <th scope="col">{t("count")}</th>
                <th scope="col">{t("why")}</th>
              </tr>
            </thead>
            <tbody>
              {[...timeline.closures].reverse().map((each) => (
                <tr key={each.from_us}>
                  <td>{moment(each.from_us)}</td>
                  <td>{moment(each.to_us)}</td>
                  <td>{number(each.frames)}</td>
                  <td>
                    <Why given={each} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function Statistics({ camera, hours }: { camera: string; hours: number }) {
  const found = useSignal<{ dwell: Dwell; flows: Flows; heat: Heat } | null | undefined>(undefined);
  useEffect(() => {
    const to_us = Date.now() * 1000;
    const query = { of: "people", from_us: to_us - hours * HOUR_US, to_us, camera };
    const range = `from_us=${query.from_us}&to_us=${to_us}`;
    Promise.all([
      ask<Dwell>("dwell", query),
      ask<Flows>("flows", query),
      api<Heat>(`/cameras/${encodeURIComponent(camera)}/heat?${range}`),
    ]).then(
      ([dwell, flows, heat]) => (found.value = { dwell, flows, heat }),
      (error: unknown) => {
        found.value = null;
        unlessAbsent(error);
      },
    );
  }, [camera, hours]);
  if (found.value === undefined) return null;
  if (found.value === null) return <p class="note">{t("noStatistics")}</p>;
  const { dwell, flows, heat } = found.value;
  return (
    <>
      <h2>{t("places")}</h2>
      <Places flows={flows} />
      <h2>{t("dwell")}</h2>
      <DwellTold dwell={dwell} />
      <h2>{t("heat")}</h2>
      <HeatMap camera={camera} heat={heat} />
    </>
  );
}

/** The fields of the picture that are told, the busier the more opaque, over the newest masked picture. */
function HeatMap({ camera, heat }: { camera: string; heat: Heat }) {
  const still = useSignal("");
  const hasPicture = connection.conditions.value.get(camera)?.state === "live";
  useEffect(() => {
    if (!hasPicture) return;
    let address = "";
    send(`/cameras/${encodeURIComponent(camera)}/still`)
      .then((answer) => answer.blob())
      .then((blob) => {
        address = still.value = URL.createObjectURL(blob);
      }, unlessAbsent);
    return () => URL.revokeObjectURL(address);
  }, [camera, hasPicture]);
  const cells = heat.cells.filter((each) => each !== null);
  const most = Math.max(0, ...cells);
  const { least, columns, rows } = heat;
  const words =
    cells.length === 0
      ? t("heatNone", { least })
      : t("heatNote", { count: cells.length, all: heat.cells.length, least, most: told(most, least) });
  return (
    <div class="camera-top">
      <figure class={still.value ? "heat over" : "heat"}>
        {still.value && <img src={still.value} alt={t("stillOf", { camera })} />}
        <svg viewBox={`0 0 ${columns * 10} ${rows * 10}`} preserveAspectRatio="none" role="img" aria-label={words}>
          {heat.cells.map(
            (value, at) =>
              value !== null && (
                <rect
                  key={at}
                  x={(at % columns) * 10}
                  y={Math.floor(at / columns) * 10}
                  width="10"
                  height="10"
                  fill-opacity={0.2 + (0.6 * value) / most}
                />
              ),
          )}
        </svg>
      </figure>
      <p class="note">{words}</p>
    </div>
  );
}

/** What is not there is no trouble: the page says so where it would be. */
function unlessAbsent(error: unknown): void {
  if (!(error instanceof ApiError) || error.status !== 404) complain(error);
}
