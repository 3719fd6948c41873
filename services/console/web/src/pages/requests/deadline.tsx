// Until when an answer is in time: in words, the colour only repeats them.
import { ANSWERED, type Case } from "./client";
import { t } from "./texts";
import { day } from "./times";

export function Deadline({ of }: { of: Case }) {
  if (ANSWERED.includes(of.state)) return <span class="note">{t("answeredState")}</span>;
  return (
    <span class={urgency(of.days_left)}>
      <strong>{left(of.days_left)}</strong>, {t("dueOn", { day: day(of.due) })}
    </span>
  );
}

function left(days: number): string {
  if (days < -1) return t("daysLate", { days: -days });
  if (days === -1) return t("dayLate");
  if (days === 0) return t("dueToday");
  return days === 1 ? t("dayLeft") : t("daysLeft", { days });
}

function urgency(days: number): string {
  if (days < 0) return "late";
  return days <= 3 ? "soon" : "calm";
}
