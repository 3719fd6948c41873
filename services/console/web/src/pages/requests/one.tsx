// One request: what is known of it, what comes next, and what was done.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError } from "../../api";
import { Link } from "../../parts/link";
import { complain } from "../../trouble";
import { Ask } from "./ask";
import { Choosing } from "./choosing";
import {
  type Action,
  approvedBy,
  begin,
  type Case,
  did,
  follow,
  has,
  isMe,
  type Job,
  letter,
  one,
  running,
  step,
} from "./client";
import { Deadline } from "./deadline";
import { Giving } from "./giving";
import { History } from "./history";
import { Looking } from "./looking";
import { t } from "./texts";
import { day, exact, exactInZone } from "./times";

/** What the parts of this page do with the request. */
export interface Desk {
  on: Case;
  /** The request has become another. */
  became: (changed: Case) => void;
  /** Does what changes the request; where somebody else was faster, shows how it is now. */
  change: (work: (on: Case) => Promise<Case>) => Promise<void>;
  /** Begins a job in the same way. */
  begin: (work: (on: Case) => Promise<Job>) => Promise<Job>;
  /** Waits for a job, shows how far it is, and gives it when it is over. */
  wait: (begun: Job) => Promise<Job>;
  /** Asks for a reason and does a step. */
  ask: (action: Action) => void;
  job: Job | undefined;
}

/** Steps with an address of their own; the others have theirs where they are done. */
const VERBS: Partial<Record<Action, string>> = { hand_over: "hand-over" };
const JOBS: readonly Action[] = ["find", "render", "package"];
const FIRST: readonly Action[] = ["find", "submit", "approve", "render", "review", "package", "hand_over", "resume"];
const OTHER: readonly Action[] = ["return", "postpone", "refuse", "withdraw"];

export function OneRequest({ id }: { id: string }) {
  const shown = useSignal<Case | undefined>(undefined);
  const job = useSignal<Job | undefined>(undefined);
  const asked = useSignal<Action | undefined>(undefined);
  const gone = useRef(false);
  const desk = shown.value && deskOf(shown.value, shown, job, asked, () => gone.current);
  useEffect(() => {
    void open(id, shown, job, () => gone.current).catch(complain);
    return () => {
      gone.current = true;
    };
  }, []);
  if (!desk) return <p class="waiting">{t("loading")}</p>;
  return (
    <article class="requests">
      <p>
        <Link to="/requests">{t("back")}</Link>
      </p>
      <h1>{desk.on.whose}</h1>
      <p>
        <span class="state">{t(`state_${desk.on.state}`)}</span> <Deadline of={desk.on} />
      </p>
      <Facts of={desk.on} />
      <Progress of={job.value} />
      <Next desk={desk} />
      {desk.on.next.includes("choose") || desk.on.state === "submitted" ? <Choosing key={searches(desk.on)} desk={desk} /> : null}
      {desk.on.next.includes("look") && <Looking key={renderings(desk.on)} desk={desk} />}
      <Giving desk={desk} />
      <History of={desk.on} />
      {asked.value && <Asked action={asked.value} desk={desk} close={() => (asked.value = undefined)} />}
    </article>
  );
}

async function open(
  id: string,
  shown: Signal<Case | undefined>,
  job: Signal<Job | undefined>,
  gone: () => boolean,
): Promise<void> {
  shown.value = await one(id);
  const now = has("officer") ? await running(id) : undefined;
  if (!now) return;
  await follow(id, now, (each) => (job.value = each), gone);
  job.value = undefined;
  shown.value = await one(id);
}

function deskOf(
  on: Case,
  shown: Signal<Case | undefined>,
  job: Signal<Job | undefined>,
  asked: Signal<Action | undefined>,
  gone: () => boolean,
): Desk {
  const became = (changed: Case): void => {
    shown.value = changed;
  };
  const tried = async <Answer,>(work: (on: Case) => Promise<Answer>): Promise<Answer> => {
    try {
      return await work(on);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      const now = await one(on.id);
      became(now);
      const meanwhile = now.history.slice(on.history.length);
      // That somebody looked changes nothing of what was decided on.
      if (meanwhile.length > 0 && meanwhile.every((each) => each.action === "look")) return work(now);
      throw new Error(`${error.message} ${t("again")}`);
    }
  };
  return {
    on,
    became,
    job: job.value,
    change: (work) => tried(work).then(became),
    begin: tried,
    wait: async (begun) => {
      job.value = begun;
      try {
        return await follow(on.id, begun, (each) => (job.value = each), gone);
      } finally {
        job.value = undefined;
        became(await one(on.id));
      }
    },
    ask: (action) => {
      asked.value = action;
    },
  };
}

/** Changes where the parts that show a search, or a rendering, have to begin anew. */
function searches(of: Case): string {
  return `${of.state === "submitted"} ${of.history.filter((each) => each.action === "find").length}`;
}

function renderings(of: Case): number {
  return of.history.filter((each) => each.action === "render").length;
}

function Facts({ of }: { of: Case }) {
  return (
    <dl class="facts">
      <dt>{t("number")}</dt>
      <dd>{of.id}</dd>
      {of.asked_by && <dt>{t("askedBy")}</dt>}
      {of.asked_by && <dd>{of.asked_by}</dd>}
      <dt>{t("cameras")}</dt>
      <dd>{of.cameras.join(", ")}</dd>
      <dt>{t("range")}</dt>
      <dd>
        {exact(of.start_us)} – {exactInZone(of.end_us)}
      </dd>
      <dt>{t("basis")}</dt>
      <dd>{of.legal_basis}</dd>
      <dt>{t("received")}</dt>
      <dd>
        {day(of.received)} ({of.rules})
      </dd>
      {of.subject.length > 0 && <dt>{t("subject")}</dt>}
      {of.subject.length > 0 && <dd>{t("subjectTracks", { count: of.subject.length })}</dd>}
      {of.corrections > 0 && <dt>{t("corrections")}</dt>}
      {of.corrections > 0 && <dd>{of.corrections}</dd>}
    </dl>
  );
}

function Progress({ of }: { of: Job | undefined }) {
  if (!of || !(of.action === "find" || of.action === "suggest" || of.action === "render" || of.action === "package")) {
    return <div role="status" />;
  }
  const what = t(`job_${of.action}`);
  const words = of.state === "waiting" ? t("jobWaiting", { what }) : t("jobRunning", { what, share: share(of) });
  return (
    <div class="card job" role="status">
      <span>{words}</span>
      <progress max={100} value={share(of)} aria-label={what} />
    </div>
  );
}

function share(of: Job): number {
  return Math.round(of.progress * 100);
}

function Next({ desk }: { desk: Desk }) {
  const { on } = desk;
  const first = FIRST.filter((each) => on.next.includes(each) && isMain(on, each));
  const other = OTHER.filter((each) => on.next.includes(each));
  const mine = [...first, ...other].filter((each) => mayDo(on, each));
  const stopped = first.map((each) => whyNot(on, each)).find((each) => each !== "");
  if (first.length + other.length === 0) return <Letter of={on} />;
  return (
    <section aria-labelledby="next">
      <h2 id="next">{t("next")}</h2>
      {on.state === "filed" && <p class="note">{t("findNote")}</p>}
      {stopped && <p class="stopped">{stopped}</p>}
      <div class="acts">
        {mine.map((each) => (
          <button
            key={each}
            type="button"
            class={first.includes(each) ? "main" : ""}
            disabled={desk.job !== undefined}
            onClick={() => desk.ask(each)}
          >
            {t(`act_${each}`)}
          </button>
        ))}
      </div>
      <Letter of={on} />
    </section>
  );
}

function Letter({ of }: { of: Case }) {
  if (!of.history.some((each) => each.action === "refuse" || each.action === "postpone")) return null;
  return (
    <p>
      <button type="button" onClick={() => void letter(of.id).catch(complain)}>
        {t("letter")}
      </button>
    </p>
  );
}

/** Whether it leads on from here; searching anew and submitting nothing do not. */
function isMain(on: Case, action: Action): boolean {
  if (action === "submit") return on.subject.length > 0;
  return true;
}

function mayDo(on: Case, action: Action): boolean {
  return has(...rolesOf(action)) && fourEyes(on, action) === "";
}

function rolesOf(action: Action): string[] {
  if (action === "approve") return ["approver"];
  return action === "return" || action === "review" ? ["officer", "approver"] : ["officer"];
}

/** Why this account can't do what comes next; "" where it can. */
function whyNot(on: Case, action: Action): string {
  const roles = rolesOf(action);
  return fourEyes(on, action) || (has(...roles) ? "" : t("notYours", { role: roles.join(", ") }));
}

function fourEyes(on: Case, action: Action): string {
  if (action === "approve" && did(on, "file", "find", "suggest", "choose", "submit")) return t("fourEyes");
  const approved = approvedBy(on);
  return action === "render" && approved !== "" && isMe(approved) ? t("fourEyesRender") : "";
}

function Asked({ action, desk, close }: { action: Action; desk: Desk; close: () => void }) {
  const { on } = desk;
  const verb = VERBS[action] ?? action;
  const act = async (why: string, given: FormData): Promise<void> => {
    if (!JOBS.includes(action)) return desk.change((now) => step(now, verb, why, more(action, given)));
    // What can be wrong with the question is said in the dialog, what goes wrong with the work on the page.
    const begun = await desk.begin((now) => begin(now, verb, why));
    void desk.wait(begun).then((job) => job.error && complain(job.error), complain);
  };
  return (
    <Ask title={t(`act_${action}`)} note={noteOf(action)} act={act} close={close}>
      {action === "postpone" && (
        <label>
          {t("until")}
          <input name="until" type="date" required min={on.due} />
        </label>
      )}
      {action === "hand_over" && (
        <label>
          {t("handOverDays")}
          <input name="days" type="number" min={1} max={366} placeholder={t("handOverNote")} />
        </label>
      )}
    </Ask>
  );
}

function more(action: Action, given: FormData): object {
  if (action === "postpone") return { until: given.get("until") };
  const days = given.get("days");
  return action === "hand_over" && days ? { days: Number(days) } : {};
}

function noteOf(action: Action): string {
  if (action === "return") return t("returnNote");
  return action === "refuse" || action === "postpone" ? t("refuseNote") : "";
}
