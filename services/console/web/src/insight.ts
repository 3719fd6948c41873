// What the server says of statistics; services/console/insight_api.py has the same.
import { api } from "./api";
import { language, number } from "./texts";

export interface Point {
  at_us: number;
  value: number | null;
  whole: boolean;
  cameras: number;
  hidden: number;
  frames: number;
  incomplete: number;
}
export interface Choices {
  cameras: { id: string; site: string; sector: string; people: string | null; vehicles: string | null }[];
  least: number;
  step_s: number;
  time_zone: string;
}
export interface Series {
  least: number;
  groups: { name: string; points: Point[] }[];
}
export interface Dwell {
  least: number;
  bins: { least_s: number; most_s: number | null; value: number | null }[];
  quantiles: { share: number; least_s: number; most_s: number | null }[];
}
export interface Flows {
  least: number;
  cameras: { camera: string; value: number | null }[];
  zones: { camera: string; zone: string; value: number | null }[];
  lines: { camera: string; line: string; forward: number | null; backward: number | null }[];
  flows: { camera: string; origin: string; target: string; value: number }[];
  more: boolean;
}
export interface Busiest {
  least: number;
  hours: { hour: number; mean: number | null; days: number; hidden: number }[];
}
export type Subject = "people" | "vehicles";

/** Asks /insight/`what`; lists are repeated. */
export function ask<Answer>(what: string, query: Record<string, string | number | readonly string[]>): Promise<Answer> {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (typeof value === "object") for (const each of value) words.append(name, each);
    else words.append(name, String(value));
  }
  return api<Answer>(`/insight/${what}?${words}`);
}

/** When an interval begins, in the house's time zone. */
export function when(at_us: number, level: "step" | "hour" | "day", timeZone: string): string {
  const format: Intl.DateTimeFormatOptions =
    level === "day" ? { month: "short", day: "numeric" } : { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(language.value, { ...format, timeZone }).format(at_us / 1000);
}

/** Bounds of dwell: 2–5 s, 1–2 min, ≥ 1 h. */
export function bounds(least_s: number, most_s: number | null): string {
  const [unit, by] = least_s >= 3600 ? ["h", 3600] : least_s >= 60 ? ["min", 60] : ["s", 1];
  const least = number(least_s / by);
  return most_s === null ? `≥ ${least} ${unit}` : `${least}–${number(most_s / by)} ${unit}`;
}
