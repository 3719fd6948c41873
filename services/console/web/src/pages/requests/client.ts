// What the page asks of disclosure, and what comes back: the API below /api/v1/requests.
import { account, api, send } from "../../api";

export type State =
  | "filed"
  | "found"
  | "submitted"
  | "approved"
  | "rendered"
  | "reviewed"
  | "packaged"
  | "handed_over"
  | "expired"
  | "postponed"
  | "refused"
  | "withdrawn";

export type Action =
  | "file"
  | "find"
  | "suggest"
  | "choose"
  | "submit"
  | "return"
  | "approve"
  | "render"
  | "look"
  | "correct"
  | "review"
  | "package"
  | "hand_over"
  | "download"
  | "expire"
  | "postpone"
  | "resume"
  | "refuse"
  | "withdraw";

export type Kind = "face" | "head" | "person" | "motion" | "plate";

export interface Step {
  action: Action;
  who: string;
  role: string;
  at_us: number;
  why: string;
  after: State;
}

export interface Sight {
  camera: string;
  epoch: number;
  track: number;
  kind: Kind;
  first_seq: number;
  last_seq: number;
}

/** A request; `version` goes back with every step, so that nobody works on what another has changed. */
export interface Case {
  id: string;
  version: number;
  state: State;
  whose: string;
  asked_by: string;
  cameras: string[];
  start_us: number;
  end_us: number;
  legal_basis: string;
  rules: string;
  received: string;
  due: string;
  days_left: number;
  expires_us: number | null;
  subject: Sight[];
  corrections: number;
  files: Record<string, string>;
  history: Step[];
  next: Action[];
}

export interface Job {
  id: string;
  action: Action;
  state: "waiting" | "running" | "done" | "failed";
  progress: number;
  error: string;
  result: { number: number; likeness: number }[];
}

/** A track that the last search found. */
export interface Found extends Sight {
  number: number;
  start_us: number;
  end_us: number;
  belongs: number[];
  picture: string;
}

export interface Video {
  name: string;
  camera: string;
  epoch: number;
  width: number;
  height: number;
  frames: number;
  open: number;
  with_subject: number;
  duration_ms: number;
  closed: Record<string, number>;
}

export interface Videos {
  videos: Video[];
  lacks: { camera: string; start_us: number; end_us: number; why: string }[];
}

export type Reason = "other" | "guess" | "many" | "soon" | "zone" | "box" | "taken";

export interface Mask {
  box: [number, number, number, number];
  kind: string | null;
  why: Reason;
}

/** What is told of one frame of a result. */
export interface Frame {
  number: number;
  at_ms: number;
  seq: number;
  captured_us: number;
  why: string;
  subject: boolean;
  masks: Mask[];
  picture: string;
}

export interface Verdict {
  holds: boolean;
  faults: string[];
  fingerprint: string;
}

export interface Filed {
  why: string;
  whose: string;
  asked_by: string;
  cameras: string[];
  start: string;
  end: string;
  legal_basis: string;
  received?: string;
  rules?: string;
}

const FOUND_AT_ONCE = 1000;
const OFTEN_MS = 600;

/** No deadline runs any more. */
export const ANSWERED: readonly State[] = ["handed_over", "expired", "refused", "withdrawn"];

export function listed(): Promise<{ today: string; requests: Case[] }> {
  return api("/requests?limit=1000");
}

export function one(id: string): Promise<Case> {
  return api(`/requests/${encodeURIComponent(id)}`);
}

export function file(given: Filed): Promise<Case> {
  return api("/requests", "POST", given);
}

/** Does a step at once, on the request as it was looked at. */
export function step(on: Case, verb: string, why: string, more: object = {}): Promise<Case> {
  return api(`/requests/${on.id}/${verb}`, "POST", { version: on.version, why, ...more });
}

/** Begins what takes long. */
export function begin(on: Case, verb: string, why: string, more: object = {}): Promise<Job> {
  return api(`/requests/${on.id}/${verb}`, "POST", { version: on.version, why, ...more });
}

export function choose(
  on: Case,
  why: string,
  tracks: { number: number; first_seq: number; last_seq: number }[],
): Promise<Case> {
  return api(`/requests/${on.id}/subject`, "PUT", { version: on.version, why, tracks });
}

/** What is being done for a request now, if anything is. */
export async function running(id: string): Promise<Job | undefined> {
  const jobs = await api<Job[]>(`/requests/${id}/jobs`);
  return jobs.find((job) => !isOver(job));
}

export function isOver(job: Job): boolean {
  return job.state === "done" || job.state === "failed";
}

/** Waits for the end of a job, and says how far it is meanwhile; ends early where `stopped` says so. */
export async function follow(
  id: string,
  job: Job,
  told: (job: Job) => void,
  stopped: () => boolean,
): Promise<Job> {
  let now = job;
  while (!isOver(now) && !stopped()) {
    told(now);
    await new Promise((resolve) => setTimeout(resolve, OFTEN_MS));
    now = await api<Job>(`/requests/${id}/jobs/${job.id}`);
  }
  return now;
}

/** Everything that the last search found, in order of its numbers from 1. */
export async function found(id: string): Promise<Found[]> {
  const all: Found[] = [];
  for (;;) {
    const part = await api<{ total: number; found: Found[] }>(
      `/requests/${id}/found?offset=${all.length}&limit=${FOUND_AT_ONCE}`,
    );
    all.push(...part.found);
    if (part.found.length === 0 || all.length >= part.total) return all;
  }
}

export function videos(id: string): Promise<Videos> {
  return api(`/requests/${id}/videos`);
}

export function frame(id: string, video: string, number: number): Promise<Frame> {
  return api(`/requests/${id}/videos/${video}/frames/${number}`);
}

export function videoAddress(id: string, video: string): string {
  return `/api/v1/requests/${id}/videos/${video}`;
}

export function verify(id: string): Promise<Verdict> {
  return api(`/requests/${id}/verify`);
}

/** Takes the package, which is written down each time. */
export async function download(id: string, why: string): Promise<void> {
  save(await (await send(`/requests/${id}/download`, "POST", { why })).blob(), `disclosure-${id}.zip`);
}

/** The newest refusal or postponement, as a page to print and send. */
export async function letter(id: string): Promise<void> {
  save(await (await send(`/requests/${id}/letter`)).blob(), `letter-${id}.html`);
}

function save(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser has begun to save by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Whether this account has a role. */
export function has(...roles: string[]): boolean {
  return roles.some((role) => account.value?.roles.includes(role));
}

/** Whether who is logged in did any of these themselves; the server knows their other accounts too. */
export function did(on: Case, ...actions: Action[]): boolean {
  const me = fold(account.value?.person || account.value?.name || "");
  return on.history.some((each) => actions.includes(each.action) && fold(each.who) === me);
}

/** Whose approval counts now; "" where nobody's does. */
export function approvedBy(on: Case): string {
  const last = on.history.filter((each) => each.action === "approve" || each.action === "return").at(-1);
  return last?.action === "approve" ? last.who : "";
}

export function isMe(who: string): boolean {
  return fold(who) === fold(account.value?.person || account.value?.name || "");
}

function fold(who: string): string {
  return who.normalize("NFKC").trim().toLowerCase();
}
