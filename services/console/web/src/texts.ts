// Texts in three languages: each part of the page keeps its own, typed by its English ones.
import { signal } from "@preact/signals";

export const LANGUAGES = { en: "English", fr: "Français", ko: "한국어" } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT = "veil.language";

function first(): Language {
  const wanted = [localStorage.getItem(KEPT), ...navigator.languages.map((each) => each.slice(0, 2))];
  return (wanted.find((each) => each !== null && each in LANGUAGES) as Language | undefined) ?? "en";
}

export const language = signal<Language>(first());

export function choose(chosen: Language): void {
  localStorage.setItem(KEPT, chosen);
  language.value = chosen;
}

type Values = Record<string, string | number>;

/**
 * Makes the function that gives one part of the page its texts: `t("shown", { count: 4 })` fills `{count}`. It reads the
 * chosen language as a signal, so that whatever shows a text shows it anew when another is chosen.
 */
export function texts<Key extends string>(en: Record<Key, string>, fr: Record<Key, string>, ko: Record<Key, string>) {
  const all = { en, fr, ko };
  return (key: Key, values: Values = {}): string =>
    all[language.value][key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A number as the chosen language writes it. */
export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(
    value,
  );
}

/** A time of day, of microseconds since 1970. */
export function clock(us: number): string {
  return new Intl.DateTimeFormat(language.value, { timeStyle: "medium" }).format(us / 1000);
}

/** Date and time of day, of microseconds since 1970. */
export function moment(us: number): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }).format(us / 1000);
}
