// A policy, and what differs between two, in the words of the chosen language.
import { number } from "../texts";
import { type Difference, type Kind, KINDS, type Line, type Mode, type Plain, type Zone } from "./model";
import { t } from "./words.texts";

type Key = Parameters<typeof t>[0];

/** What a policy does, a sentence for each aspect. */
export function inWords(policy: Plain): string[] {
  const said = KINDS.flatMap((kind) => {
    const mode = policy.kinds[kind];
    return mode ? [t("masked", { kind: t(kind), mode: t(mode) })] : [];
  });
  if (policy.strength !== 1) said.push(t("strength", { value: number(policy.strength, 1) }));
  said.push(t("when", { ahead: number(policy.look_ahead_s, 1), hold: number(policy.hold_s, 1) }));
  said.push(t(policy.on_incomplete));
  for (const zone of policy.zones) said.push(t("area", { name: zone.name, use: t(zone.use) }));
  for (const line of policy.lines) said.push(t("line", { name: line.name }));
  said.push(t(policy.sound === "keep" ? "soundKeep" : "soundDrop"));
  if (policy.originals === "keep") said.push(t("originalKeep", { hours: number(policy.retention_hours) }));
  else said.push(t("originalDrop"));
  if (policy.purpose) said.push(t("purpose", { text: policy.purpose }));
  if (policy.legal_basis) said.push(t("basis", { text: policy.legal_basis }));
  return said;
}

/** One thing that differs. */
export function difference(each: Difference): string {
  const [group, ...rest] = each.key.split(".");
  const name = rest.join(".");
  if (group === "kinds") return said(t(name as Kind), rule(each.before), rule(each.after, each.before));
  if (group === "zones") {
    const before = each.before as Zone | null;
    const after = each.after as Zone | null;
    return said(t("zone", { name }), use(before), use(after, before));
  }
  if (group === "lines") {
    const both = each.before !== null && each.after !== null;
    return said(t("lineName", { name }), line(each.before), both ? t("redrawn") : line(each.after));
  }
  return said(label(each.key), value(each.key, each.before), value(each.key, each.after));
}

function said(what: string, before: string, after: string): string {
  return t("change", { what, before, after });
}

function rule(given: unknown, before: unknown = null): string {
  if (given === null) return t("unmasked");
  const mode = t((given as { mode: Mode }).mode);
  const same = before !== null && (before as { mode: Mode }).mode === (given as { mode: Mode }).mode;
  return same ? t("rule", { mode }) : mode;
}

function use(zone: Zone | null, before: Zone | null = null): string {
  if (zone === null) return before === null ? t("nothing") : t("gone");
  return before?.use === zone.use ? `${t(zone.use)}, ${t("redrawn")}` : t(zone.use);
}

function line(given: unknown): string {
  return (given as Line | null) === null ? t("nothing") : t("count");
}

const LABELS: ReadonlySet<string> = new Set([
  "strength",
  "purpose",
  "legal_basis",
  "on_incomplete",
  "sound",
  "originals",
  "retention_hours",
  "title",
  "sector",
  "profile",
  "badge",
  "tracking.look_ahead_s",
  "tracking.hold_s",
]);

function label(key: string): string {
  return LABELS.has(key) ? t(`key_${key}` as Key) : key;
}

const SAID: Record<string, Record<string, Key>> = {
  on_incomplete: { close: "close", drop: "drop" },
  sound: { drop: "soundDrop", keep: "soundKeep" },
};

function value(key: string, given: unknown): string {
  if (given === null || given === "") return t("nothing");
  if (typeof given === "number") return number(given, Number.isInteger(given) ? 0 : 2);
  const known = SAID[key]?.[String(given)];
  return known ? t(known) : String(given);
}
