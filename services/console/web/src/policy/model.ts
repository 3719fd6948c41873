// What the policy editor works on: a form, and the draft that the server is given of it.

export type Point = [number, number];
export type Use = "count" | "mask" | "detail";

export interface Zone {
  name: string;
  polygon: Point[];
  use: Use;
}

export interface Line {
  name: string;
  start: Point;
  end: Point;
}

export const KINDS = ["face", "plate", "person", "head", "motion", "text", "logo"] as const;
export type Kind = (typeof KINDS)[number];
export const MODES = ["solid", "mosaic", "blur", "seal", "silhouette"] as const;
export type Mode = (typeof MODES)[number];

/** A policy with all its keys, as the server has it; those that the editor does not touch are left as they are. */
export interface Keys {
  kinds: Partial<Record<Kind, { mode: Mode | null }>>;
  mode: Mode;
  strength: number;
  on_incomplete: "close" | "drop";
  purpose: string;
  legal_basis: string;
  originals: "drop" | "keep";
  retention_hours: number;
  zones: Zone[];
  lines: Line[];
}

/** What a policy does, for words. */
export interface Plain {
  name: string;
  title: string;
  fingerprint: string;
  purpose: string;
  legal_basis: string;
  kinds: Partial<Record<Kind, Mode>>;
  padding: Partial<Record<Kind, number>>;
  strength: number;
  look_ahead_s: number;
  hold_s: number;
  on_incomplete: "close" | "drop";
  sound: "drop" | "keep";
  zones: Zone[];
  lines: Line[];
  originals: "drop" | "keep";
  retention_hours: number;
}

export interface Preset extends Plain {
  preset: string;
  keys: Keys;
}

export interface Draft {
  preset: string | null;
  keys: Record<string, unknown>;
}

export interface Difference {
  key: string;
  before: unknown;
  after: unknown;
  shows_more: boolean;
}

export interface Remark {
  key: string;
  message: string;
}

export interface Preview {
  problems: Remark[];
  cautions: Remark[];
  missing: string[];
  policy: Plain | null;
  keys: Keys | null;
  differences: Difference[];
}

export interface Told {
  number: number;
  by: string;
  at_us: number;
  reason: string;
  before: string;
  after: string;
  unreadable?: true;
}

/** A camera's policy, as who may change it is told. */
export interface Shown {
  policy: Plain | null;
  unreadable: string;
  keys: Keys | null;
  site_file: Keys | null;
  editable: boolean;
  number: number;
  before: string;
  draft: Draft;
  at_once: boolean;
}

export interface Box {
  kind: Kind;
  box: [number, number, number, number];
}

/** A masked picture: its address in this page, "" where there is none, and when the camera took it. */
export interface Still {
  address: string;
  takenUs: number;
  /** The account's roles do not look at cameras. */
  refused: boolean;
}

export interface Form extends Keys {
  preset: string | null;
}

const FIELDS = [
  "kinds",
  "mode",
  "strength",
  "on_incomplete",
  "purpose",
  "legal_basis",
  "originals",
  "retention_hours",
  "zones",
  "lines",
] as const;

export function formOf(preset: string | null, keys: Keys): Form {
  const form = { preset } as Record<string, unknown>;
  for (const field of FIELDS) form[field] = structuredClone(keys[field]);
  const kinds: Keys["kinds"] = {};
  for (const kind of KINDS) if (keys.kinds[kind]) kinds[kind] = { mode: keys.kinds[kind].mode ?? null };
  return { ...(form as unknown as Form), kinds };
}

/** All that differs from what it starts from; keys that the form does not show stay as the change before had them. */
export function draftOf(form: Form, base: Keys, before: Draft): Draft {
  const same = before.preset === form.preset;
  const keys: Record<string, unknown> = same ? { ...before.keys } : {};
  const plain = formOf(form.preset, base);
  for (const field of FIELDS) {
    delete keys[field];
    if (JSON.stringify(form[field]) !== JSON.stringify(plain[field])) keys[field] = form[field];
  }
  const ruled = same && isRecord(before.keys["kinds"]) ? before.keys["kinds"] : {};
  const rules = Object.fromEntries(
    Object.entries(form.kinds).map(([kind, rule]) => [kind, { ...(isRecord(ruled[kind]) ? ruled[kind] : {}), ...rule }]),
  );
  const hasRules = Object.values(ruled).some((rule) => isRecord(rule) && Object.keys(rule).some((key) => key !== "mode"));
  if (keys["kinds"] !== undefined || hasRules) keys["kinds"] = rules;
  return { preset: form.preset, keys };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A share of the picture, as exactly as a drawn point is worth. */
export function share(value: number): number {
  return Math.round(Math.min(1, Math.max(0, value)) * 1e4) / 1e4;
}

/** A name that no other area has. */
export function freeName(stem: string, areas: readonly { name: string }[]): string {
  for (let number = 1; ; number++) {
    const name = `${stem} ${number}`;
    if (!areas.some((area) => area.name === name)) return name;
  }
}
