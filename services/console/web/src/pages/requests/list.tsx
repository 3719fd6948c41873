// All requests that this account may see, those due first.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Link } from "../../parts/link";
import { complain } from "../../trouble";
import { ANSWERED, type Case, has, listed } from "./client";
import { Deadline } from "./deadline";
import { t } from "./texts";
import { exactInZone } from "./times";

const SHOWN = ["open", "waiting", "answered", "all"] as const;
const DUE = ["whenever", "soon", "late"] as const;
type Shown = (typeof SHOWN)[number];
type Due = (typeof DUE)[number];

const SOON_DAYS = 3;

export function RequestList() {
  const cases = useSignal<Case[] | undefined>(undefined);
  const shown = useSignal<Shown>("open");
  const due = useSignal<Due>("whenever");
  const words = useSignal("");
  useEffect(() => {
    listed()
      .then((answer) => {
        cases.value = answer.requests;
      })
      .catch(complain);
  }, []);
  const found = (cases.value ?? []).filter(
    (each) => isShown(each, shown.value) && isDue(each, due.value) && isNamed(each, words.value),
  );
  return (
    <section class="requests">
      <div class="requests-head">
        <h1>{t("title")}</h1>
        {has("officer") && (
          <Link to="/requests/new" class="main-link">
            {t("new")}
          </Link>
        )}
      </div>
      <div class="requests-filters" role="search">
        <label>
          {t("show")}
          <select value={shown.value} onChange={(event) => (shown.value = event.currentTarget.value as Shown)}>
            {SHOWN.map((each) => (
              <option key={each} value={each}>
                {t(each)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t("when")}
          <select value={due.value} onChange={(event) => (due.value = event.currentTarget.value as Due)}>
            {DUE.map((each) => (
              <option key={each} value={each}>
                {t(each)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t("search")}
          <input type="search" value={words.value} onInput={(event) => (words.value = event.currentTarget.value)} />
        </label>
      </div>
      <p class="note" role="status">
        {cases.value === undefined ? t("loading") : found.length ? t("count", { count: found.length }) : t("none")}
      </p>
      <ul class="cases">
        {found.map((each) => (
          <Row key={each.id} of={each} />
        ))}
      </ul>
    </section>
  );
}

function Row({ of }: { of: Case }) {
  return (
    <li class="card case">
      <Link to={`/requests/${of.id}`}>{of.whose}</Link>
      <span class="state">{t(`state_${of.state}`)}</span>
      <Deadline of={of} />
      <span class="note">
        {of.cameras.join(", ")} · {exactInZone(of.start_us)}
      </span>
      <span class="note">{of.id}</span>
    </li>
  );
}

function isShown(of: Case, shown: Shown): boolean {
  if (shown === "all") return true;
  if (shown === "waiting") return of.state === "submitted";
  return ANSWERED.includes(of.state) === (shown === "answered");
}

function isDue(of: Case, due: Due): boolean {
  if (due === "whenever") return true;
  return !ANSWERED.includes(of.state) && of.days_left <= (due === "late" ? -1 : SOON_DAYS);
}

function isNamed(of: Case, words: string): boolean {
  const wanted = words.trim().toLowerCase();
  return [of.whose, of.asked_by, of.id].some((each) => each.toLowerCase().includes(wanted));
}
