// Light or dark, as the system has it or as chosen; kept in this browser.
import { effect, signal } from "@preact/signals";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEPT = "veil.theme";
const kept = localStorage.getItem(KEPT) as Theme | null;

export const theme = signal<Theme>(kept !== null && THEMES.includes(kept) ? kept : "system");

export function choose(chosen: Theme): void {
  localStorage.setItem(KEPT, chosen);
  theme.value = chosen;
}

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});
