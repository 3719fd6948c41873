// How everything does: cameras by stage, services, what the auditor found, Triton, disks, certificates.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { moment, number } from "../texts";
import { complain } from "../trouble";
import { t } from "./health.texts";

const FRESH_MS = 5_000;
const DAY_US = 86_400_000_000;
const SOON_DAYS = 30;
const LATE_S = 10;
const FREE_SHARE = 0.1;
const STAGES = ["decoder", "inference", "tracker", "renderer", "encoder"] as const;

interface Passage {
  fps: number | null;
  age_s: number;
  state: "ok" | "late" | "stale" | "new";
}
interface Process {
  name: string;
  problem: string;
  lag: number;
  lag_s: number;
  blocked: number;
  dead_letters: number;
  restarts: number;
  cpu: number | null;
  memory: number;
}
interface Health {
  at_us: number;
  cameras: { id: string; stages: Partial<Record<(typeof STAGES)[number], Passage>>; suspects: Record<string, number> }[];
  processes: Process[];
  closed: number | null;
  shed: number;
  suspects: number;
  audited: boolean;
  triton: { problem: string; answered: number; failed: number; waiting: number } | null;
  disks: { folder: string; total: number; free: number; problem: string }[];
  certificates: { name: string; subject: string; ends_us: number | null; problem: string }[];
  grafana: string;
}

export function HealthPage(_: { rest: string }) {
  const health = useSignal<Health | null>(null);
  useEffect(() => {
    const look = (): void => {
      if (!document.hidden) api<Health>("/health").then((found) => (health.value = found), complain);
    };
    look();
    const timer = setInterval(look, FRESH_MS);
    return () => clearInterval(timer);
  }, []);
  const found = health.value;
  return (
    <>
      <h1>{t("title")}</h1>
      {found && (
        <>
          <Summary health={found} />
          <Cameras health={found} />
          <Processes processes={found.processes} />
          {found.triton && (
            <>
              <h2>{t("triton")}</h2>
              <p class={found.triton.problem ? "state-bad" : ""}>
                {found.triton.problem || t("tritonOf", { ...found.triton, problem: "" })}
              </p>
            </>
          )}
          <Disks health={found} />
          <Certificates health={found} />
          {found.grafana && (
            <p>
              <a href={found.grafana} rel="noreferrer">
                {t("grafana")}
              </a>
            </p>
          )}
          <p class="note">{t("at", { at: moment(found.at_us) })}</p>
        </>
      )}
    </>
  );
}

function Summary({ health }: { health: Health }) {
  const down = health.processes.filter((each) => each.problem).length;
  return (
    <ul class="card plain-list">
      <li class={down ? "state-bad" : ""}>
        {down ? t("down", { count: down, all: health.processes.length }) : t("good")}
      </li>
      <li class={health.suspects ? "state-bad" : health.audited ? "" : "state-warn"}>
        {health.suspects ? t("exposed", { count: health.suspects }) : t(health.audited ? "unexposed" : "unaudited")}
      </li>
      {health.closed !== null && <li>{t("closed", { share: number(health.closed * 100, 1) })}</li>}
      <li>{t("shed", { count: number(health.shed) })}</li>
    </ul>
  );
}

function Cameras({ health }: { health: Health }) {
  return (
    <Titled title={t("stages")} heads={[t("camera"), ...STAGES.map((stage) => t(stage)), t("found")]}>
      {health.cameras.map((camera) => (
        <tr key={camera.id}>
          <th scope="row">{camera.id}</th>
          {STAGES.map((stage) => (
            <Cell key={stage} passage={camera.stages[stage]} />
          ))}
          <td class={Object.keys(camera.suspects).length ? "state-bad" : ""}>
            {Object.entries(camera.suspects)
              .map(([kind, count]) => `${kind} ${count}`)
              .join(", ") || t("never")}
          </td>
        </tr>
      ))}
    </Titled>
  );
}

function Cell({ passage }: { passage: Passage | undefined }) {
  if (!passage) return <td>{t("never")}</td>;
  if (passage.state === "stale") return <td class="state-bad">{t("stale")}</td>;
  const fps = passage.fps === null ? "…" : number(passage.fps, 1);
  return (
    <td class={passage.state === "late" ? "state-warn" : ""}>{t("cell", { fps, age: number(passage.age_s, 2) })}</td>
  );
}

function Processes({ processes }: { processes: readonly Process[] }) {
  const heads = [t("service"), t("state"), t("lag"), t("blocked"), t("dead"), t("restarts"), t("cpu"), t("memory")];
  return (
    <Titled title={t("services")} heads={heads}>
      {processes.map((each) => (
        <tr key={each.name}>
          <th scope="row">{each.name}</th>
          <td class={each.problem ? "state-bad" : ""} lang={each.problem ? "en" : undefined}>
            {each.problem || t("up")}
          </td>
          <td class={each.lag_s > LATE_S ? "state-warn" : ""}>
            {t("lagOf", { seconds: number(each.lag_s, 1), messages: number(each.lag) })}
          </td>
          <td>{number(each.blocked * 100)} %</td>
          <td class={each.dead_letters ? "state-warn" : ""}>{number(each.dead_letters)}</td>
          <td>{number(each.restarts)}</td>
          <td>{each.cpu === null ? "…" : `${number(each.cpu * 100)} %`}</td>
          <td>{number(each.memory / 1e6)} MB</td>
        </tr>
      ))}
    </Titled>
  );
}

function Disks({ health }: { health: Health }) {
  if (health.disks.length === 0) return null;
  return (
    <Titled title={t("disks")} heads={[t("folder"), t("free")]}>
      {health.disks.map((each) => (
        <tr key={each.folder}>
          <th scope="row">{each.folder}</th>
          <td class={each.problem || each.free < each.total * FREE_SHARE ? "state-bad" : ""}>
            {each.problem || `${number(each.free / 1e9, 1)} / ${number(each.total / 1e9, 1)} GB`}
          </td>
        </tr>
      ))}
    </Titled>
  );
}

function Certificates({ health }: { health: Health }) {
  if (health.certificates.length === 0) return null;
  const inWords = (ends_us: number): string => {
    const days = Math.floor((ends_us - health.at_us) / DAY_US);
    return days < 0 ? t("over", { date: moment(ends_us) }) : t("days", { date: moment(ends_us), days });
  };
  return (
    <Titled title={t("certificates")} heads={[t("certificate"), t("ends")]}>
      {health.certificates.map((each) => (
        <tr key={each.name}>
          <th scope="row">{each.name}</th>
          <td
            class={each.problem || (each.ends_us ?? 0) < health.at_us + SOON_DAYS * DAY_US ? "state-bad" : ""}
          >
            {each.ends_us === null ? each.problem : inWords(each.ends_us)}
          </td>
        </tr>
      ))}
    </Titled>
  );
}

function Titled({ title, heads, children }: {
  title: string;
  heads: readonly string[];
  children: ComponentChildren;
}) {
  return (
    <>
      <h2>{title}</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label={title}>
        <table>
          <thead>
            <tr>
              {heads.map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{children}</tbody>
        </table>
      </div>
    </>
  );
}
