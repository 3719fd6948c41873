// Times of requests: always with the zone they are told in.
import { language } from "../../texts";

/** The zone of this browser, as `Asia/Seoul (UTC+09:00)`. */
export function zone(at: Date = new Date()): string {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  return `${timeZone} (${offset(at)})`;
}

function offset(at: Date): string {
  const minutes = -at.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** Date and time of day to the second. */
export function exact(us: number): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "medium" }).format(us / 1000);
}

/** A time of day to the tenth of a second. */
export function toTenths(us: number): string {
  return new Intl.DateTimeFormat(language.value, {
    hour: "numeric",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 1,
  }).format(us / 1000);
}

/** Date and time of day to the second, with its zone. */
export function exactInZone(us: number): string {
  return `${exact(us)} ${offset(new Date(us / 1000))}`;
}

/** The same moment in UTC; "" where there is none. */
export function inUtc(given: string): string {
  const at = new Date(given);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");
}

/** A day as the chosen language writes it, of YYYY-MM-DD. */
export function day(iso: string): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(iso));
}

/** Minutes and seconds of a length. */
export function length(ms: number): string {
  const tenths = Math.round(ms / 100);
  const seconds = (tenths % 600) / 10;
  return `${Math.floor(tenths / 600)}:${seconds.toFixed(1).padStart(4, "0")}`;
}
